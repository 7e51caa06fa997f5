# SPDX-License-Identifier: MIT
"""pip install ./src/python

The library is linked into the module, so that it needs no other file: that of the build folder that FLOWCARVE_BUILD names, else one
that CMake makes of the source above (in build/pip). Without that source the library of the system is taken, by pkg-config.
"""
import os
import re
import subprocess
import sys

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
LIBRARIES = ["urcu", "urcu-common", "lz4", "z", "zstd", "lzma", "sqlite3", "m", "pthread", "dl"]


def version():
    with open(os.path.join(HERE, "flowcarve", "__init__.py")) as f:
        return re.search(r'__version__ = "(.*)"', f.read()).group(1)


def build_library():
    folder = os.path.join(ROOT, "build", "pip")
    subprocess.check_call(["cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DFLOWCARVE_TESTS=OFF", "-DFLOWCARVE_BENCH=OFF",
                           "-DFLOWCARVE_SERVE=OFF", "-DFLOWCARVE_PYTHON=OFF"])
    subprocess.check_call(["cmake", "--build", folder, "--target", "flowcarve_static", "--parallel", str(os.cpu_count() or 1)])
    return folder


def how_to_link():
    """Arguments of the extension: where headers and library are."""
    include = [os.path.join(ROOT, "include")]
    folder = os.environ.get("FLOWCARVE_BUILD")
    if not folder and os.path.exists(os.path.join(ROOT, "CMakeLists.txt")):
        folder = build_library()
    if folder:
        library = os.path.join(folder, "libflowcarve.a")
        return {"include_dirs": include, "extra_objects": [library], "libraries": LIBRARIES, "depends": [library, "setup.py"]}
    import cffi.pkgconfig
    return cffi.pkgconfig.flags_from_pkgconfig(["flowcarve"])


if __name__ == "__main__":
    setup(
        name="flowcarve",
        version=version(),
        description="Packet captures, indexed by session, at the speed of C",
        license="MIT",
        packages=["flowcarve"],
        package_data={"flowcarve": ["*.pyi", "py.typed"]},
        python_requires=">=3.8",
        setup_requires=["cffi>=1.15"],
        install_requires=["cffi>=1.15"],
        extras_require={"numpy": ["numpy"], "pandas": ["pandas"]},
        cffi_modules=["build_ffi.py:for_setup"],
        options={"bdist_wheel": {"py_limited_api": "cp38"}},
        zip_safe=False,
    )
