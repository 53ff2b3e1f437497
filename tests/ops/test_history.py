"""Curves stay small however long the run, keep its whole length, and end at the newest figure."""

import json
import math
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rvsense.daemon.history import POINTS, Curves, History


@given(st.integers(1, 3000), st.sampled_from([4, 16, 128]))
def test_curves_are_thinned_evenly(rows: int, points: int) -> None:
    """At most `points` and the newest; the first stays, and every gap but the last is the same."""
    curves = Curves(("x",), points)
    for n in range(rows):
        curves.add(n, {"x": float(n)})
    shown = curves.as_map()
    times = shown["at_s"]
    assert len(times) == len(shown["x"]) <= points
    assert (times[0], times[-1]) == (0, rows - 1)
    gaps = [after - before for before, after in pairwise(times)]
    assert len(set(gaps[:-1])) < 2
    assert max(gaps, default=0) <= max(1, 4 * rows / points)


def test_no_rows_is_empty_columns() -> None:
    """Before the first figure there are the names with nothing in them."""
    assert Curves(("a", "b")).as_map() == {"at_s": [], "a": [], "b": []}


def test_what_is_not_finite_is_a_gap() -> None:
    """NaN, infinity, None and a missing name are null, and the page is still JSON."""
    curves = Curves(("a", "b", "c", "d"))
    curves.add(1.0, {"a": math.nan, "b": -math.inf, "c": None})
    shown = curves.as_map()
    assert [shown[name] for name in "abcd"] == [[None]] * 4
    json.dumps(shown, allow_nan=False)


def test_figures_are_short() -> None:
    """Five digits are enough for a screen: a full history is less than 64 KiB of JSON."""
    history = History()
    for second in range(4 * POINTS):
        history.add(
            second / 3, 1.8e9 + second / 3, status(loss=math.pi + second / 7, sites=["north"])
        )
    text = json.dumps(history.as_map("north"))
    assert "3.1416" in text
    assert len(text) < 64 * 1024


def test_sites_have_curves_of_their_own() -> None:
    """A site's are shown when it is asked for; an unknown one has none."""
    history = History()
    history.add(1.0, 11.0, status(sites=["north"]))
    history.add(2.0, 12.0, status(sites=["north", "south"]))
    assert history.as_map()["site"] is None
    assert history.as_map("east")["site"] is None
    south = history.as_map("south")["site"]
    assert south["name"] == "south"
    assert south["curves"] == {
        "at_s": [12.0], "offset_ms": [1.5], "skew_p50_ms": [None], "radar_hz": [30.0],
        "camera_hz": [None],
    }  # fmt: skip
    assert len(history.as_map("north")["site"]["curves"]["at_s"]) == 2


def test_a_clock_that_is_set_bends_no_curve() -> None:
    """Started in 1970, an hour learned later: every row is a second after the one before."""
    history = History()
    for second in range(20):
        unix_s = second if second < 5 else 1.8e9 + second - (3600 if second > 10 else 0)
        history.add(second + 40.0, unix_s, status(sites=["north"]))
    shown = history.as_map("north")
    for curves in (shown["curves"], shown["site"]["curves"]):
        assert curves["at_s"] == [1.8e9 - 3600 + second for second in range(20)]


def status(*, sites: list[str], loss: float | None = None) -> dict[str, Any]:
    """As much of /statusz as curves are drawn of."""
    return {
        "learner": {"figures": {} if loss is None else {"loss": loss, "step": 3}},
        "score": {"accuracy": None, "coverage": None},
        "serving": {"latency_p99_ms": 4.0},
        "sites": {name: {"offset_ms": 1.5, "radar_hz": 30.0} for name in sites},
    }
