"""The pairing core decides; it does not read clocks, sockets or files."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

PURE = ("pairing", "release", "lane", "fit", "offset", "matching", "thinning")
FORBIDDEN = {"zmq", "torch", "numpy", "threading", "socket", "time", "asyncio", "random"}


@pytest.mark.parametrize("module", PURE)
def test_imports(module: str) -> None:
    """No module of the core names one that could make its decisions depend on more than frames."""
    source = inspect.getsource(importlib.import_module(f"rvsense.daemon.{module}"))
    named = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named.add(str(node.module).split(".")[0])
    assert named
    assert not named & FORBIDDEN


def test_needs_no_torch() -> None:
    """`rvsense pair` starts without loading torch, numpy or zmq."""
    code = "import sys, rvsense.daemon.pair_trace; print({'torch','numpy','zmq'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
