"""Tools of the system that some of these tests call."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Tool = Callable[..., subprocess.CompletedProcess[str]]


def locate(name: str, remedy: str, *, ci_has_it: bool) -> str:
    """Where the tool is; without it the test skips, or fails where CI must have it."""
    here = ROOT / ".tools" / name
    path = os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)
    if path is None and here.exists():
        path = str(here)
    if path is None:
        message = f"{name} is not here: {remedy}"
        if ci_has_it and os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def tool(name: str, remedy: str, *, ci_has_it: bool) -> Tool:
    """A function that runs the tool, found as `locate` does."""
    path = locate(name, remedy, ci_has_it=ci_has_it)

    def run(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [path, *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def find_tool() -> Callable[..., Tool]:
    """How the tools below are found."""
    return tool


@pytest.fixture
def promtool() -> Tool:
    """Runs promtool."""
    return tool("promtool", "run .ci/get-prometheus", ci_has_it=True)


@pytest.fixture
def systemd_analyze() -> Tool:
    """Runs systemd-analyze."""
    return tool("systemd-analyze", "install systemd", ci_has_it=False)


@pytest.fixture
def tool_path() -> Callable[..., str]:
    """Where a tool is, for those that run on beside the test."""
    return locate
