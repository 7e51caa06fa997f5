# SPDX-License-Identifier: MIT
"""The package as a whole: its page, docstrings, types, and what pip makes of it."""
import ast
import doctest
import inspect
import os
import subprocess
import sys

import flowcarve as fc
import pytest
import support as s
from conftest import ROOT

PACKAGE = os.path.join(ROOT, "src/python/flowcarve")


def test_the_page_is_true(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day").mkdir()
    s.run(s.FCGEN, "--preset", "demo", "-q", "-w", "day/sample", cwd=str(tmp_path))
    failed, run = doctest.testfile(os.path.join(ROOT, "docs/python.md"), module_relative=False)
    assert failed == 0 and run > 30


def stub():
    with open(os.path.join(PACKAGE, "__init__.pyi")) as f:
        return ast.parse(f.read())


def is_property(node):
    return any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)


def names_in(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id, node


def arguments(node):
    return [a.arg for a in node.args.posonlyargs + node.args.args], [a.arg for a in node.args.kwonlyargs]


def test_types_are_of_what_there_is():
    names = dict(names_in(stub().body))
    assert {n for n in names if not n.startswith("_")} == set(fc.__all__)
    for name, node in names.items():
        if isinstance(node, ast.FunctionDef):
            check_function(node, getattr(fc, name))
        if isinstance(node, ast.ClassDef) and hasattr(fc, name):
            check_class(node, getattr(fc, name))


def check_function(node, real):
    parameters = inspect.signature(real).parameters.values()
    positional, named = arguments(node)
    assert positional == [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD], node.name
    if not any(p.kind == p.VAR_KEYWORD for p in parameters):  # which are handed on
        assert named == [p.name for p in parameters if p.kind == p.KEYWORD_ONLY], node.name


def check_class(node, real):
    told = dict(names_in(node.body))
    if hasattr(real, "_fields"):
        assert list(told) == list(real._fields), node.name
        return
    public = {n for n in dir(real) if not n.startswith("_")} - {n for base in real.__mro__[1:] for n in dir(base)}
    assert public <= set(told), (node.name, public - set(told))
    for name, member in told.items():
        if isinstance(member, ast.FunctionDef) and not is_property(member):
            check_function(member, getattr(real, name))
        elif isinstance(member, ast.FunctionDef):
            assert inspect.isdatadescriptor(getattr(real, name)), (node.name, name)


def test_all_that_is_public_has_a_docstring():
    bare = [n for n in fc.__all__ if callable(getattr(fc, n)) and not inspect.getdoc(getattr(fc, n))]
    assert not bare
    for name in ("Capture", "Index", "Query", "Session", "Fields", "Follow", "Live", "Packets"):
        for member, real in vars(getattr(fc, name)).items():
            if not member.startswith("_") and inspect.isfunction(real) and member not in ("close",):
                assert real.__doc__, (name, member)


def test_without_numpy(tmp_path, made):
    """Packets, rows and streams of Arrow do without; what takes it says so."""
    code = """if True:
        import sys
        sys.modules["numpy"] = sys.modules["pandas"] = None
        import flowcarve as fc
        capture = fc.Capture(sys.argv[1])
        assert sum(1 for p in capture if p.src) > 1000
        capture.rewind()
        assert capture.fields("len src").__arrow_c_stream__()
        capture.rewind()
        try:
            next(capture.fields("len"))
        except ImportError as e:
            assert "python3-numpy" in str(e)
        else:
            raise SystemExit("no error")
        with fc.open(sys.argv[2]) as index:
            index.index(sys.argv[1])
            assert index.count() == len(list(index.query())) and index.query().__arrow_c_stream__()
            try:
                index.query().to_pandas()
            except ImportError as e:
                assert "pandas" in str(e)
    """
    done = subprocess.run([sys.executable, "-B", "-c", code, made[0], str(tmp_path / "x.db")], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_in_a_virtual_environment(tmp_path, made):
    """pip install ./src/python, in an environment made from this Python, and the wheel is for any later one."""
    build = os.environ.get("FLOWCARVE_BUILD")
    for module in ("venv", "setuptools", "wheel", "pip"):
        pytest.importorskip(module)
    if not build or not os.path.exists(os.path.join(build, "libflowcarve.a")):
        pytest.skip("FLOWCARVE_BUILD names no folder with the library")
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    source = tmp_path / "source"  # pip leaves files in it
    s.shutil.copytree(os.path.join(ROOT, "src/python"), source / "src/python", ignore=s.shutil.ignore_patterns("build", "*.egg-info"))
    s.shutil.copytree(os.path.join(ROOT, "include"), source / "include")

    def run(*words):
        done = subprocess.run(words, capture_output=True, env={**clean, "FLOWCARVE_BUILD": build, "CFLAGS": "-O0"}, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return done.stdout.decode()
    python = str(tmp_path / "env/bin/python")
    run(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", "env")
    run(python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-index", "--no-deps", str(source / "src/python"))
    code = "import flowcarve as fc, sys; print(fc.__file__, sum(1 for p in fc.Capture(sys.argv[1]) if p.src), fc._errors.lib.FC_WANT_KEY)"
    path, packets, _ = run(python, "-c", code, made[0]).split()
    assert path.startswith(str(tmp_path / "env")) and int(packets) > 9000
    module = os.path.join(os.path.dirname(path), "_flowcarve.abi3.so")
    assert os.path.exists(module) and "libflowcarve" not in run("ldd", module)
    assert os.path.exists(os.path.join(os.path.dirname(path), "py.typed"))
    tag = run("sh", "-c", "cat env/lib/python3*/site-packages/flowcarve-*.dist-info/WHEEL")
    assert "Tag: cp38-abi3-" in tag
