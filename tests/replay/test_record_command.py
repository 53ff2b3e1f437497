"""`rvsense record`: what its modes take, and what they say."""

import json
from pathlib import Path

import pytest

from rvsense.cli import main
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.segment import Segment


@pytest.mark.parametrize(
    ("mode", "strangers"),
    [
        ([], [["--labels", "0.1"], ["--seed", "0"]]),
        (["--from", "."], [["--for", "5"], ["--continue"]]),
        (["--check"], [["--for", "5"], ["--seed", "0"], ["--most-gb", "5"]]),
        (["--recover", "out"], [["--continue"], ["--labels", "0"], ["--segment-mb", "5"]]),
        (["--export", "out"], [["--continue"], ["--labels", "0"], ["--free-gb", "5"]]),
    ],
)
def test_options_of_another_mode_are_refused(
    mode: list[str], strangers: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named, and nothing is done."""
    for stranger in strangers:
        assert main(["record", *mode, *stranger, str(tmp_path / "recording")]) == 2
        assert f"{stranger[0]} has no meaning for" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_each_report_of_a_check_comes_as_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is no recording costs no report of those before it."""
    segment = Segment(tmp_path / "a.mcap", {})
    segment.add(Message("result", "east", 1, 1, [b"\x80"]))
    segment.close({"lost": {"tap": 2}})
    assert main(["record", "--check", "--json", str(segment.path), str(tmp_path / "none")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["whole"], told["lost"]) == (True, {"tap": 2})
