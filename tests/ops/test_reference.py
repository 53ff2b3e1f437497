"""The operations page names every metric and every log event, and none that does not exist."""

import re
from pathlib import Path

import pytest

from rvsense.daemon.metrics import Metrics
from tests.ops.events import events


def rows(root: Path, heading: str) -> set[str]:
    """The names in the first column of the tables below a heading of the page."""
    page = (root / "docs" / "operations.md").read_text()
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return {name.partition("{")[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def exposed() -> set[str]:
    """Every metric of ours that a daemon's page has."""
    page = Metrics({"version": "0"}, max_sites=1).exposition("")[0].decode()
    return set(re.findall(r"^# HELP (rvsense_\w+)", page, flags=re.MULTILINE))


def compare(documented: set[str], real: set[str], heading: str) -> None:
    """Fail with the rows to be written, and those to be taken out."""
    missing, gone = sorted(real - documented), sorted(documented - real)
    if missing or gone:
        pytest.fail(f"docs/operations.md, {heading}: no row for {missing}; does not exist: {gone}")


def test_every_metric_has_its_row(root: Path) -> None:
    """What it means can be looked up, and what is said there can be queried."""
    compare(rows(root, "Metrics"), exposed(), "Metrics")


def test_every_log_event_has_its_row(root: Path) -> None:
    """Whoever finds an event in the journal finds here what to do."""
    names = set(events())
    assert len(names) > 40
    compare(rows(root, "Log events"), names, "Log events")


def test_every_code_of_a_refused_request_is_told(root: Path) -> None:
    """Whoever writes a client finds in the protocol page each that the daemon's code can answer."""
    named = re.compile(r'(?:RequestError\(|"code": |code=)"(\w+)"')
    codes = {
        code for path in (root / "daemon").glob("*.py") for code in named.findall(path.read_text())
    }
    assert {"busy", "bad_op", "no_tap"} <= codes
    page = (root / "docs" / "protocol.md").read_text()
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_a_missing_row_is_named() -> None:
    """The failure says which rows to write and which to remove."""
    with pytest.raises(pytest.fail.Exception, match=r"no row for \['b'\]; does not exist: \['c'\]"):
        compare({"a", "c"}, {"a", "b"}, "Metrics")
