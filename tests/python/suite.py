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
HERE = os.path.dirname(os.path.abspath(__file__))
# what others make of the same packets takes long, and has no line of C that the rest has not
LEFT = ["--ignore", os.path.join(HERE, "test_others.py")] if "FLOWCARVE_SANITIZE" in os.environ else []
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-rs", "--durations=5", HERE] + LEFT + sys.argv[1:]))
