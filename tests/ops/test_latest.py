"""What was last seen of a site: bounded, fresh, and no image unless asked for."""

from typing import Any

import numpy as np
import pytest

from rvsense.daemon.latest import RECENT, Latest, SiteLatest
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.results import ModelName, Result


def radar(seq: int) -> RadarFrame:
    """A radar frame of site north."""
    return RadarFrame(
        site="north", seq=seq, stamp_ns=seq, heatmap=np.zeros((1, 128, 128, 2), "<f4")
    )


def result(seq: int, published_ns: int, **changes: Any) -> Result:
    """An answer of site north."""
    values: dict[str, Any] = {
        "label": "car", "abstain": None, "probs": {"car": 0.9, "empty": 0.1}, "ood_score": 0.5,
        "model": ModelName("step-7", 7, "ab", 1),
    }  # fmt: skip
    return Result(
        site="north", seq=seq, stamp_ns=seq, epoch=0, received_ns=published_ns - 2_500_000,
        published_ns=published_ns, result_seq=seq, **(values | changes),
    )  # fmt: skip


def test_rates_are_of_the_last_seconds() -> None:
    """Counts five seconds apart; a stream that stops falls to nothing, and shows no old rate."""
    site = SiteLatest()
    assert site.rate_hz("radar") is None
    rates = []
    for second in range(12):
        site.mark(float(second))
        rates.append(site.rate_hz("radar"))
        site.counts["radar"] += 30 if second < 5 else 0
    assert rates[1:6] == [30.0] * 5
    assert rates[-1] == 0.0


def test_the_newest_answer_is_shown_with_its_frame() -> None:
    """What /statusz says of a site is its last answer, plain values alone."""
    latest = Latest(keep_images=False)
    for seq in range(3):
        frame = radar(seq)
        latest.took(frame)
        latest.answered(result(seq, 10**9 * (seq + 1)), frame, float(seq))
    seen = latest.sites["north"].seen
    assert seen is not None
    assert seen.frame is frame
    shown = latest.as_map(0.0)["north"]["answer"]
    assert (shown["label"], shown["confidence"], shown["likeliest"]) == ("car", 0.9, "car")
    assert (shown["result_seq"], shown["latency_ms"], shown["step"]) == (2, 2.5, 7)


def test_an_answer_without_a_classifier() -> None:
    """No model: no confidence, no likeliest class, and the reason."""
    latest = Latest(keep_images=False)
    answer = result(0, 1, label=None, abstain="no_model", probs={}, ood_score=None, model=None)
    latest.answered(answer, radar(0), 0.0)
    shown = latest.as_map(0.0)["north"]["answer"]
    assert [shown[key] for key in ("confidence", "likeliest", "model", "step")] == [None] * 4
    assert shown["abstain"] == "no_model"


@pytest.mark.parametrize("rate_hz", [1, 30, 200])
def test_a_minute_of_answers_is_kept_whatever_the_rate(rate_hz: int) -> None:
    """Four a second at most, and never more than the bound."""
    latest = Latest(keep_images=False)
    for n in range(90 * rate_hz):
        latest.answered(result(n, 10**18 + n * 10**9 // rate_hz), radar(0), n / rate_hz)
    recent = latest.sites["north"].recent
    seconds = (recent[-1].published_ns - recent[0].published_ns) / 1e9
    assert len(recent) == min(RECENT, 90 * rate_hz)
    assert seconds > 60


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set_stops_no_chart(step_s: int) -> None:
    """Answers are spaced by another clock: an hour back or on, four a second are kept."""
    latest = Latest(keep_images=False)
    for n in range(20):
        stamp_ns = 10**18 + n * 10**9 // 4 + (step_s * 10**9 if n >= 10 else 0)
        latest.answered(result(n, stamp_ns), radar(0), n / 4)
    assert [answer.seq for answer in latest.sites["north"].recent] == list(range(20))


@pytest.mark.parametrize("keep_images", [True, False])
def test_images_are_kept_only_when_asked_for(keep_images: bool) -> None:
    """Off is off: not even a reference stays; the stream is counted all the same."""
    latest = Latest(keep_images=keep_images)
    image = CameraFrame(site="north", seq=0, stamp_ns=0, codec="jpeg", image=b"\xff\xd8 picture")
    latest.took(image)
    site = latest.sites["north"]
    assert (site.image is image) is keep_images
    assert site.counts["camera"] == 1
    assert "picture" not in repr(latest.as_map(0.0))
