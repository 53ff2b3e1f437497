"""`rvsense pair`: what it prints, and what it says of a bad line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from rvsense.cli import main as cli
from rvsense.config import Pairing
from rvsense.daemon.pair_trace import main
from rvsense.errors import UsageError

MS = 1_000_000
SETTINGS = Pairing(offset_s=0.0, tolerance_s=0.01)


def line(kind: str, seq: int, stamp_ms: float, **more: Any) -> str:
    """One line of a trace."""
    return json.dumps({"kind": kind, "seq": seq, "stamp_ns": round(stamp_ms * MS), **more})


def pair(trace: Path, lines: list[str], capsys: Any, settings: Pairing = SETTINGS) -> Any:
    """(records printed, standard error) for these lines."""
    trace.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(str(trace), settings) == 0
    printed = capsys.readouterr()
    return [json.loads(record) for record in printed.out.splitlines()], printed.err


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where the trace of a test lies."""
    return tmp_path / "trace.jsonl"


def test_pairs_then_ledger(trace: Path, capsys: Any) -> None:
    """A line a pair with the raw skew, then one with the ledger, the offset and the counts."""
    lines = [line("radar", 4, 0, site="a"), line("camera", 9, 2, site="a"), line("radar", 5, 33)]
    lines = [each.replace('"radar", "seq": 5', '"radar", "site": "a", "seq": 5') for each in lines]
    records, err = pair(trace, lines, capsys)
    assert records[0] == {"pair": [4, 9], "skew_ns": -2 * MS}
    radar = {"received": 2, "paired": 1, "dropped": {"unmatched": 1}, "pending": 0}
    camera = {"received": 1, "paired": 1, "dropped": {}, "pending": 0}
    assert records[1] == {
        "ledger": {"a": {"radar": radar, "camera": camera}},
        "offset_ns": {"a": 0},
        "tolerance_ns": {"a": 10 * MS},
        "pairs": 1,
        "rejected": 0,
    }
    assert err == ""


def test_estimates_an_offset(trace: Path, capsys: Any) -> None:
    """By default the offset is estimated and told; the skew stays raw."""
    lines = []
    for k in range(100):
        lines += [line("camera", k, k * 33), line("radar", k, k * 33 + 12)]
    records, _ = pair(trace, lines, capsys, Pairing())
    assert [record["pair"] for record in records[:-1]] == [[k, k] for k in range(100)]
    assert {record["skew_ns"] for record in records[:-1]} == {12 * MS}
    assert records[-1]["offset_ns"] == {"site": 12 * MS}


def test_sites_and_epochs_are_named_where_needed(trace: Path, capsys: Any) -> None:
    """Sites are paired apart; a pair names its site from the second on, and its epoch if not 0."""
    lines = [
        line(kind, 1, 0, site=site, epoch=epoch)
        for site, epoch in (("a", 0), ("b", 2))
        for kind in ("radar", "camera")
    ]
    records, _ = pair(trace, lines, capsys)
    assert records[0] == {"pair": [1, 1], "skew_ns": 0, "site": "a"}
    assert records[1] == {"pair": [1, 1], "skew_ns": 0, "site": "b", "epoch": 2}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (line("label", 1, 0), 'kind is "label", not radar or camera'),
        (line("radar", -1, 0), "seq is -1, not a whole number"),
        ('{"kind": "radar", "seq": 1}', "stamp_ns is missing"),
        ('{"kind": "radar", "seq": 1, "stamp_ns": 1.5}', "stamp_ns is 1.5"),
        ('{"kind": "radar", "seq": true, "stamp_ns": 1}', "seq is true"),
        (line("radar", 1, 0, site=7), "site is 7, not a text"),
        (line("radar", 1, 0, epoch="x"), 'epoch is "x", not a whole number'),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_costs_itself_only(trace: Path, capsys: Any, bad: str, said: str) -> None:
    """File, line number, fault and form are named, the line is counted, the rest is paired."""
    lines = [line("radar", 1, 0), bad, line("camera", 1, 1)]
    records, err = pair(trace, lines, capsys)
    assert records[0]["pair"] == [1, 1]
    assert records[-1]["rejected"] == 1
    assert f"{trace}:2: {said}" in err
    assert '"stamp_ns"' in err


def test_standard_input(monkeypatch: Any, capsys: Any) -> None:
    """A dash reads standard input; blank lines are nothing."""
    text = "\n\n".join([line("radar", 1, 0), line("camera", 1, 1)])
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main("-", SETTINGS) == 0
    assert capsys.readouterr().out.startswith('{"pair": [1, 1], "skew_ns": -1000000}\n')


@pytest.mark.parametrize("text", ["", "nonsense\n"])
def test_a_trace_without_a_frame(trace: Path, capsys: Any, text: str) -> None:
    """A trace with no valid line is a usage error that says what a line looks like."""
    trace.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no line is a frame; expected"):
        main(str(trace), SETTINGS)


def test_a_missing_trace(trace: Path) -> None:
    """A file that is not there is a usage error that names it."""
    with pytest.raises(UsageError, match=r"trace\.jsonl: No such file"):
        main(str(trace), SETTINGS)


def test_options_take_what_the_settings_take(trace: Path, capsys: Any) -> None:
    """`auto` undoes a number of the file, as the help says; what is neither is refused."""
    trace.write_text("\n".join(line(kind, 0, 0) for kind in ("radar", "camera")))
    config = trace.with_name("pairing.toml")
    config.write_text("[pairing]\ntolerance_s = 0.001\n")
    given = ["pair", str(trace), "--config", str(config), "--offset", "0"]
    for words, tolerance_ns in (([], MS), (["--tolerance", "auto"], 16_666_666)):
        assert cli([*given, *words]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["tolerance_ns"] == {
            "site": tolerance_ns
        }
    assert cli([*given, "--lateness", "auto"]) == 78
    assert "a number from 0.0 to 60.0" in capsys.readouterr().err
