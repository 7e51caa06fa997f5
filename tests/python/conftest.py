# SPDX-License-Identifier: MIT
"""What all modules of the suite share. PYTHONPATH has the package; FCGEN, FLOWCARVE, FLOWCARVE_CAPTURES as for the system suite."""
import csv
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "build/dev/python")] if "PYTHONPATH" not in os.environ else []
sys.path.append(os.path.join(ROOT, "tests/system"))
sys.dont_write_bytecode = True

import flowcarve as fc  # noqa: E402
import support  # noqa: E402

# Captures with zeros behind their packets, which others take for records of no length, and flowcarve for damage.
ZEROS = ("bgp_vpn_rt-oobr.pcap",)
CAPTURES = os.environ.get("FLOWCARVE_CAPTURES") or None


def manifest(**wanted):
    """Real captures, as (path, row of the manifest)."""
    if not CAPTURES:
        return []
    with open(os.path.join(CAPTURES, "MANIFEST.tsv"), newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    return [(os.path.join(CAPTURES, r["path"]), r) for r in rows if all(r[k] == v for k, v in wanted.items())]


def descriptors():
    return sorted(os.readlink("/proc/self/fd/" + n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Captures that fcgen makes: 20,000 packets in two files."""
    folder = tmp_path_factory.mktemp("day")
    subprocess.run([support.FCGEN, "--preset", "demo", "-q", "-w", str(folder / "sample")], check=True)
    return sorted(str(folder / n) for n in os.listdir(folder))


@pytest.fixture(scope="session")
def db(made, tmp_path_factory):
    """An index of these with all fields."""
    path = str(tmp_path_factory.mktemp("db") / "day.db")
    with fc.open(path) as index:
        index.index(made, fields="all")
    return path


@pytest.fixture
def index(db):
    with fc.open(db) as opened:
        yield opened
