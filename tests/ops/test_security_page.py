"""docs/security.md: every test that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
SHOWN = sorted(set(re.findall(r"`((?:tests/|test_)[\w/.]+)`", PAGE)))


@pytest.mark.parametrize("named", SHOWN)
def test_what_shows_it_exists(named: str) -> None:
    """A file, or a test of that name somewhere."""
    if named.startswith("tests/"):
        assert (ROOT / named).is_file()
        return
    files = (ROOT / "tests").rglob("test_*.py")
    assert any(f"def {named}(" in path.read_text() for path in files)


def test_every_threat_is_answered_for() -> None:
    """Each row of the table has what stands against it and what shows that."""
    table = PAGE.partition("## Threats")[2].partition("##")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) > 15
    assert all(len(row) == 4 and row[2].strip() and row[3].strip() for row in rows)
