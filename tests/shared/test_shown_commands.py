"""Command lines that pages show indented, since they take a device, a machine or an hour.

Those in sh blocks are run (tests/whole/test_docs.py); these are held against the options there are.
"""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from rvsense.cli import COMMANDS, parser
from tests.shared.test_help import options

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWN = re.compile(r"^    (?:\S*/)?rvsense (.+(?:\n {17}\s*\[.*)*)$", re.MULTILINE)
"""A line, and those below it that go on with options in brackets."""
BEYOND = re.compile(r"\s(?:>|\||&&).*")
"""What the shell does with it."""

LINES = [
    (f"{page.name}: {' '.join(line.split())}", line)
    for page in PAGES
    for line in SHOWN.findall(page.read_text())
]


def is_synopsis(line: str) -> bool:
    """Whether it tells all the ways to call the command rather than one."""
    return "[" in line or "|OUT" in line


@pytest.fixture(scope="module")
def whole() -> argparse.ArgumentParser:
    """All commands with all their options."""
    return parser(list(COMMANDS))


def test_pages_show_commands() -> None:
    """They are found: the tests below look at something."""
    assert {"README.md", "operations.md"} <= {name.partition(":")[0] for name, _ in LINES}
    assert any(is_synopsis(line) for _, line in LINES)
    assert len(LINES) > 30


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in LINES])
def test_a_shown_command_is_understood(
    line: str, whole: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that can be copied as it stands; of a synopsis, each option is one of the command's."""
    if is_synopsis(line):
        name = re.match(r"[a-z]+(?: [a-z]+)?(?= |$)", line)
        assert name is not None
        named = f"rvsense {name[0]}"
        known = {
            flag for prog, action in options(whole) for flag in action.option_strings
            if prog == named
        }  # fmt: skip
        assert known
        assert set(re.findall(r"--[a-z-]+", line)) <= known
        return
    words = shlex.split(BEYOND.sub("", line), comments=True)
    try:
        whole.parse_args(words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)
