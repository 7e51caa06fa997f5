# SPDX-License-Identifier: MIT
"""A server that is asked by 1, 8 and 64 clients at a time, and a carve that goes through it."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

from .additions import number
from .capture import Wrong
from .process import Run, warm

CLIENTS = (1, 8, 64)
SECONDS = 4          # that each question is asked for
TOKEN = "b" * 40


class Server:
    """`flowcarve serve` with its own token; ended by end()."""

    def __init__(self, bench, db):
        tokens = bench.scratch("tokens")
        with open(tokens, "w") as f:
            f.write("bench metadata,packets %s\n" % TOKEN)
        os.chmod(tokens, 0o600)
        self.p = subprocess.Popen([bench.flowcarve, "serve", "-d", db, "-l", "127.0.0.1:0", "--tokens", tokens, "--deadline", "10m"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        url = self.p.stdout.readline().decode()
        if not url:
            raise Wrong("serve: it does not start")
        self.port = urllib.parse.urlsplit(url).port

    def request(self, path):
        return ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n" % (path, self.port, TOKEN)).encode()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def cpu(self):
        """Seconds that its threads have worked."""
        with open("/proc/%d/stat" % self.p.pid) as f:
            user, system = f.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.p.send_signal(signal.SIGTERM)
        if self.p.wait() != 0:
            raise Wrong("serve: ended with %d" % self.p.returncode)
        self.p.stdout.close()


def ask(s, request):
    """The body of the answer, which tells its length."""
    s.sendall(request)
    data = bytearray()
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        if not part:
            raise Wrong("serve: the connection was closed")
        data += part
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise Wrong("serve: %r" % (head[:100] + body[:300]))
    left = int(re.search(rb"(?i)content-length: (\d+)", head).group(1)) - len(body)
    parts = [body]
    while left > 0:
        parts.append(s.recv(min(left, 1 << 20)))
        left -= len(parts[-1])
    return b"".join(parts)


def press(server, request, clients, seconds):
    """Seconds that each answer took, of so many clients at a time that ask again at once."""
    times, failures, end = [], [], time.monotonic() + seconds

    def client():
        try:
            s = server.connect()
            while time.monotonic() < end:
                begun = time.monotonic()
                ask(s, request)
                times.append(time.monotonic() - begun)
            s.close()
        except (OSError, Wrong) as e:
            failures.append(e)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise Wrong("serve: %s" % failures[0])
    return sorted(times), time.monotonic() - begun


def take(server, path):
    """Takes a stream; its bytes and the seconds that it took."""
    s = server.connect()
    begun, count, last = time.monotonic(), 0, b""
    s.sendall(server.request(path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    while True:
        part = s.recv(1 << 20)
        if not part:
            break
        count += len(part)
        last = (last + part)[-5:]
    if last != b"0\r\n\r\n":
        raise Wrong("serve: the stream is not whole")
    return count, time.monotonic() - begun


def carve_over_http(bench, name, server, db):
    """The same capture by the command, through the server, and out of the page cache."""
    out, streamed = bench.scratch("carve.pcap"), []

    def stream():
        cpu = server.cpu()
        size, wall = take(server, "/v1/carve?filter=port+443")
        streamed.append((wall, size, server.cpu() - cpu))

    runs = 3
    written = [Run([bench.flowcarve, "carve", "-q", "-d", db, "port", "443", "-w", out]) for i in range(runs + 1) if not stream()][1:]
    if any(r.status for r in written):
        raise Wrong("serve: carve ended with %d" % written[0].status)
    size = os.path.getsize(out)
    if any(s[1] < size for s in streamed):
        raise Wrong("serve: %d bytes of %d came over HTTP" % (streamed[0][1], size))
    cats = [Run(["cat", out]) for _ in range(runs + 1)][1:]
    middle = lambda values: sorted(values)[runs // 2]  # noqa: E731
    wall, cpu = middle(s[0] for s in streamed[1:]), middle(s[2] for s in streamed[1:])
    note = "%s MB, %.0f MB/s" % (number(size // 10**6), size / 1e6 / wall)
    bench.report.row(name, "carve of a port over HTTP", wall, "s", "carve -w FILE", middle(r.wall for r in written), note=note)
    bench.report.row(name, "carve of a port over HTTP: CPU of the server", cpu, "s", "carve -w FILE", middle(r.cpu for r in written))
    bench.report.row(name, "carve of a port over HTTP", wall, "s", "cat of what was carved", middle(r.wall for r in cats), note=note)
    for i, (w, r, k) in enumerate(zip(streamed[1:], written, cats), 1):
        bench.report.run(name, "carve -w FILE", i, r)
        bench.report.run(name, "cat", i, k)
        bench.report.value(name, "carve over HTTP, run %d" % i, w[0], "s")


def drawn(bench, name, server, second):
    """Times until the page has drawn its first rows, in a browser that has loaded nothing of it before."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    playwright, chromium = os.path.join(root, "build/web/node_modules/playwright-core"), shutil.which("chromium")
    if not (chromium and os.path.isdir(playwright) and shutil.which("node")):
        bench.report.note("chromium or playwright-core is not there (./dev test web puts them there): nothing was drawn")
        return
    states = {"all": "", "a port": "filter=port+443", "a second": second, "tcp": "filter=tcp", "by bytes": "sort=bytes%3Adesc"}
    r = subprocess.run(["node", os.path.join(root, "bench/page.mjs"), playwright, chromium, "http://127.0.0.1:%d" % server.port, TOKEN,
                        str(bench.args.runs), *states.values()], stdout=subprocess.PIPE)
    if r.returncode:
        raise Wrong("serve: the page was not drawn")
    for what, line in zip(states, r.stdout.splitlines()):
        ms = sorted(json.loads(line)["ms"])
        bench.report.row(name, "page opened, first rows drawn: " + what, ms[len(ms) // 2] / 1000, "s", note="%.3f to %.3f s" % (ms[0] / 1000, ms[-1] / 1000))


def serve(bench, name):
    c = bench.capture("small")
    db = bench.scratch("serve.db")
    warm(c.files)
    r = bench.index(db, [c.path], "-j2")()
    if r.status != 0:
        raise Wrong("serve: index ended with %d" % r.status)
    server = Server(bench, db)
    try:
        s = server.connect()
        status = json.loads(ask(s, server.request("/v1/status")))["index"]
        if (status["sessions"], status["packets"]) != (c.sessions, c.packets):
            raise Wrong("serve: %s" % status)
        middle = json.loads(ask(s, server.request("/v1/sessions?limit=1&offset=%d" % (c.sessions // 2))))["sessions"][0]
        port = middle["server_port"] or 443
        second = urllib.parse.urlencode({"from": "%d" % (middle["start_ns"] // 10**9), "until": "%d" % (middle["start_ns"] // 10**9 + 1)})
        s.close()
        questions = {
            "sessions, the first 100": "/v1/sessions?limit=100",
            "sessions of a host": "/v1/sessions?limit=100&filter=host+" + (middle["client_addr"] or "10.0.0.1"),
            "sessions of a port in a second": "/v1/sessions?limit=100&filter=port+%d&%s" % (port, second),
            "sessions of a second": "/v1/sessions?limit=100&" + second,
            "histogram of all": "/v1/histogram",
            "histogram of a second, by state": "/v1/histogram?by=state&" + second,
            "packets of a session": "/v1/sessions/%d/packets" % middle["id"],
            "largest 100 of all": "/v1/sessions?limit=100&sort=bytes:desc",
        }
        for what, path in questions.items():
            bench.say("%s: %s" % (name, what))
            press(server, server.request(path), 1, .5)
            for clients in CLIENTS:
                cpu = server.cpu()
                times, took = press(server, server.request(path), clients, SECONDS)
                cpu = (server.cpu() - cpu) / len(times)
                bench.report.row(name, "%s: p50, %d client%s" % (what, clients, "s" * (clients > 1)), times[len(times) // 2], "s",
                                 note="%.4g requests/s; p99 %.4f s; CPU an answer %.2f ms"
                                 % (len(times) / took, times[int(len(times) * .99)], 1000 * cpu))
                for way, value in (("p50", times[len(times) // 2]), ("p99", times[int(len(times) * .99)]), ("cpu", cpu)):
                    bench.report.value(name, "%s: %s, %d" % (what, way, clients), 1000 * value, "ms")
        drawn(bench, name, server, second)
        carve_over_http(bench, name, server, db)
    finally:
        server.end()
