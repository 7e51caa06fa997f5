# SPDX-License-Identifier: MIT
"""Whole processes, measured; the machine they run on; its page cache."""
import ctypes
import mmap
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import threading
import time


class Run:
    """One command as a whole process: wall seconds, user and system seconds, peak memory in MB, standard error."""

    def __init__(self, words, stdout=os.devnull, cwd=None, limit_s=None):
        self.fsync = 0.0
        self.text = ""
        # errors go to a file: a pipe that is full would stop the process while nobody reads
        with open(stdout, "wb") as out, tempfile.TemporaryFile() as errors:
            start = time.perf_counter()
            try:
                p = subprocess.Popen(words, stdout=out, stderr=errors, stdin=subprocess.DEVNULL, cwd=cwd)
            except OSError as e:
                self.wall = self.cpu = self.rss = 0.0
                self.status, self.text = 127, str(e)
                return
            timer = threading.Timer(limit_s or 0, p.kill)
            timer.daemon = True
            if limit_s:
                timer.start()
            try:
                _, status, usage = os.wait4(p.pid, 0)
            except KeyboardInterrupt:
                p.kill()
                p.wait()
                raise
            finally:
                timer.cancel()
            self.wall = time.perf_counter() - start
            p.returncode = self.status = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            self.text = errors.read().decode(errors="replace")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss = usage.ru_maxrss / 1024


class Times:
    """Runs of one command."""

    def __init__(self, runs):
        self.runs = runs
        self.wall = statistics.median(r.wall for r in runs)
        self.cpu = statistics.median(r.cpu for r in runs)
        self.fsync = statistics.median(r.fsync for r in runs)
        self.rss = max(r.rss for r in runs)


def have(tool):
    return shutil.which(tool) is not None


def version_of(words):
    """First line that a tool prints about itself."""
    try:
        p = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line.strip() for line in (p.stdout + p.stderr).splitlines() if "unning as user" not in line]
    return next((line for line in lines if line), "")


def named_version(tool, option):
    text = version_of([tool, option])
    return text if text.lower().startswith(tool.lower()) else "%s: %s" % (tool, text)


def machine(flowcarve):
    model = platform.machine()
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return "%s, %d processors, %.0f GB memory, Linux %s, %s" % (model, os.cpu_count(), memory, platform.release(),
                                                                version_of([flowcarve, "--version"]))


def cached_share(path):
    """How much of a file is in the page cache, 0 to 1; None when it cannot be told."""
    size = os.path.getsize(path)
    if size == 0:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as f, mmap.mmap(f.fileno(), size, flags=mmap.MAP_PRIVATE,
                                          prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
        pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        vector = (ctypes.c_ubyte * pages)()
        start = ctypes.c_char.from_buffer(m)
        rc = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), vector)
        del start
        return sum(v & 1 for v in bytes(vector)) / pages if rc == 0 else None


def make_cold(path):
    """Drops the page cache, or else this file's pages. Says how; None when the file is still there."""
    how = None
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("1\n")
        how = "page cache dropped"
    except OSError:
        with open(path, "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        how = "the capture's pages dropped"
    share = cached_share(path)
    return how if share is not None and share < 0.01 else None


def warm(paths):
    """Reads files, so that they are in the page cache."""
    buffer = bytearray(1 << 20)
    for path in paths:
        with open(path, "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass
