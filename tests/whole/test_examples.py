"""The subscribers of examples/ against real daemons, with keys and without: each prints results."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import keyring

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]
PYTHON = ("subscriber.py", "plain_subscriber.py")
LINES = 6


def node(folder: Path) -> list[str] | None:
    """How the example for Node is run, next to its packages; None where these are not here."""
    packages = ROOT / ".tools" / "node" / "node_modules"
    program = shutil.which("node")
    if program is None or not packages.exists():
        assert os.environ.get("CI") != "true", "install Node, and run .ci/get-node-packages"
        return None
    shutil.copy(ROOT / "examples" / "subscriber.mjs", folder)
    (folder / "node_modules").symlink_to(packages)
    return [program, str(folder / "subscriber.mjs")]


def first_lines(command: list[str]) -> list[list[str]]:
    """The words of the first lines that an example prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as example:
        assert example.stdout is not None
        lines = [example.stdout.readline().split() for _ in range(LINES)]
        example.kill()
    return lines


@pytest.mark.parametrize("with_keys", [False, True])
def test_examples_print_results(
    cruw: Path, start: Callable[..., Any], tmp_path: Path, with_keys: bool
) -> None:
    """Site, stamp, answer or the reason for none, and confidence, in every language."""
    options: list[str | Path] = ["--replay", cruw, "--speed", "2", "--loop", "--no-learn"]
    keys: list[str] = []
    if with_keys:
        keyring.new_server(tmp_path / "keys")
        keys = [str(keyring.new_client(tmp_path / "keys", "subscriber", "page"))]
        options += ["--keys", tmp_path / "keys"]
    endpoint = start(*options).wait_for("ready")["results"]
    commands = [[sys.executable, str(ROOT / "examples" / name)] for name in PYTHON]
    in_node = node(tmp_path)
    for command in [*commands, in_node] if in_node else commands:
        for site, stamp_ns, answer, confidence in first_lines([*command, endpoint, *keys]):
            assert site in ("2026_01_01", "2026_01_02")
            assert int(stamp_ns) >= 0
            assert answer == "(no_model)"
            assert float(confidence) == 0.0
    if in_node is None:
        pytest.skip("the example for Node was not run: run .ci/get-node-packages")
