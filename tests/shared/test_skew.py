"""What clocks say in words, and how `rvsense skew` prints it."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from rvsense.errors import UsageError
from rvsense.terminal import skew as command
from rvsense.terminal.clockcheck import findings, paired_share
from rvsense.terminal.skew import _told, judged, skew

DAY_MS = 86_400e3


def clock(delay_ms: float, drift_ppm: float | None = 0.5) -> dict[str, Any]:
    """A stream's entry of `clocks`."""
    return {
        "delay_p50_ms": delay_ms,
        "delay_p99_ms": delay_ms + 5,
        "drift_ppm": drift_ppm,
        "drift_error_ppm": None if drift_ppm is None else 1.0,
    }


def site(**changes: Any) -> dict[str, Any]:
    """A site in step, changed."""
    values: dict[str, Any] = {
        "answer": None,
        "answers_hz": 30.0,
        "radar_hz": 30.0,
        "camera_hz": 30.0,
        "radar_age_s": 0.0,
        "camera_age_s": 0.1,
        "offset_ms": 1.5,
        "tolerance_ms": 16.7,
        "skew_left_p50_ms": 0.2,
        "skew_left_p99_ms": 0.9,
        "clocks": {"radar": clock(4.0), "camera": clock(6.0)},
    }
    return values | changes


def ledger(radar: int = 100, camera: int = 100, unmatched: int = 0) -> dict[str, Any]:
    """So many paired frames of each, and unmatched ones of the radar."""
    return {
        "radar": {"paired": radar, "dropped": {"unmatched": unmatched}},
        "camera": {"paired": camera, "dropped": {"unmatched": unmatched}},
    }


def test_nothing_is_said_of_streams_in_step() -> None:
    """Nor of a slow camera, whose frames all find a partner."""
    assert findings(site(), ledger()) == []
    slow = ledger()
    slow["radar"]["dropped"]["unmatched"] = 200
    assert paired_share(slow) == 1.0
    assert findings(site(), slow) == []
    assert (
        paired_share({"radar": {"paired": 0, "dropped": {}}, "camera": ledger()["camera"]}) is None
    )


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"camera_age_s": None}, "missing", "no camera frame has come"),
        ({"radar_age_s": 61.0}, "silent", "the radar has been silent for 61 s"),
        (
            {"clocks": {"radar": clock(20_000 * DAY_MS), "camera": clock(20_000 * DAY_MS)}},
            "another_day",
            "the radar's and the camera's stamps are of no clock of this day",
        ),
        (
            {"clocks": {"radar": clock(4.0, 5_000.0), "camera": clock(5.0)}},
            "another_day",
            "the radar's stamps",
        ),
        (
            {"clocks": {"radar": clock(-20.0), "camera": clock(6.0)}},
            "ahead",
            "the radar's clock is at least 20 ms ahead",
        ),
        (
            {"clocks": {"radar": clock(4_000.0), "camera": clock(4_000.0)}},
            "behind",
            "radar frames come 4.0 s after their stamps",
        ),
        (
            {"clocks": {"radar": clock(4.0, -50.0), "camera": clock(6.0)}},
            "drift",
            "the radar's clock runs 50 ppm slow: 3.0 ms a minute",
        ),
        (
            {"clocks": {"radar": clock(4.0), "camera": clock(504.0)}},
            "alias",
            "about +500 ms, by their stamps +2 ms",
        ),
        ({"offset_ms": None, "tolerance_ms": None}, "no_offset", "no constant offset"),
        ({"skew_left_p99_ms": 12.0}, "skew", "up to 12.0 ms apart"),
    ],
)
def test_each_fault_has_its_words_and_a_remedy(
    changes: dict[str, Any], code: str, words: str
) -> None:
    """The first that is told."""
    first = findings(site(**changes), ledger())[0]
    assert first.code == code
    assert words in first.text
    assert len(first.remedy) > 20


def test_a_drift_within_its_error_is_none() -> None:
    """Nor one that a crystal has and nobody notices."""
    loose = clock(4.0, 30.0) | {"drift_error_ppm": 10.0}
    assert findings(site(clocks={"radar": loose, "camera": clock(6.0, 9.0)}), ledger()) == []


def test_few_pairs_are_told() -> None:
    """Of the slower stream's frames."""
    (one,) = findings(site(), ledger(60, 60, unmatched=40))
    assert (one.code, "only 60 %" in one.text) == ("unpaired", True)


def test_a_replay_of_the_daemons_own_is_as_it_should_be() -> None:
    """Its stamps are the recording's, and its sites come in turn; pairs are looked at still."""
    old = site(camera_age_s=30.0, clocks={"radar": clock(9e9, None), "camera": clock(9e9, None)})
    assert [one.code for one in findings(old, ledger())] == ["silent", "another_day"]
    assert findings(old, ledger(), replaying=True) == []
    assert findings(old, ledger(10, 10, unmatched=90), replaying=True)[0].code == "unpaired"


def status(**sites: dict[str, Any]) -> dict[str, Any]:
    """A daemon with these sites."""
    return {
        "sites": sites,
        "pairing": {"sites": {name: ledger() for name in sites}},
        "replay": None,
    }


def test_what_is_printed() -> None:
    """Offset, skew, delay and drift with their units; what is wrong with its remedy."""
    bad = site(clocks={"radar": clock(-20.0, None), "camera": clock(9e9, None)})
    (north, south) = _told(judged(status(north=site(), south=bad), "", "here"))
    assert "offset   +1.50 ms (radar minus camera); tolerance 16.70 ms" in north
    assert "p50 0.20 ms, p99 0.90 ms left" in north
    assert "arrives p50 4.00 ms, p99 9.00 ms after its stamp; drift +0.5 ± 1.0 ppm" in north
    assert north.endswith("in step")
    assert "drift not known within half a minute" in south
    assert "stamps of another day" in south
    assert "! the camera's stamps are of no clock of this day\n    → a replay" in south


def test_sites_are_chosen_by_name() -> None:
    """The program's map has the figures and what was found; a wrong name lists those there."""
    one = judged(status(north=site(), south=site(radar_age_s=None)), "south", "here")
    assert list(one) == ["south"]
    assert one["south"]["findings"][0]["code"] == "missing"
    assert one["south"]["offset_ms"] == 1.5
    with pytest.raises(UsageError, match="no site 'west'; sites of here: north"):
        judged(status(north=site()), "west", "here")
    with pytest.raises(UsageError, match="no frame has come yet"):
        judged(status(), "west", "here")
    assert list(_told(judged(status(), "", "here"))) == ["no frame has come yet"]


@pytest.mark.parametrize("every_s", [0.0, 1e300, float("nan")])
def test_a_pace_that_cannot_be_kept_is_said(every_s: float) -> None:
    """Before a daemon is asked, and not as an error of the machine's."""
    with pytest.raises(UsageError, match="--every"):
        skew("nowhere", "", every_s=every_s, as_json=False)


def test_no_frame_at_all_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that asks whether the clocks agree must not hear yes."""
    requester = MagicMock()
    requester.__enter__().ask.return_value = {"status": {"sites": {}, "replay": None}}
    monkeypatch.setattr(command, "Requester", lambda *_: requester)
    assert skew("nowhere", "", as_json=False) == 1
    assert capsys.readouterr().out == "no frame has come yet\n"
