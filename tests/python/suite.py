# SPDX-License-Identifier: MIT
"""Runs the suite by the Python that runs this: exit status 77 where there is no pytest."""
import os
import sys

try:
    import pytest
except ImportError:
    print("pytest is not installed (python3-pytest): ./dev test python installs it")
    sys.exit(77)

sys.dont_write_bytecode = True
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-rs", "--durations=5", os.path.dirname(os.path.abspath(__file__))] + sys.argv[1:]))
