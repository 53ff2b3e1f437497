"""Delay and drift of a source's clock, from stamps and arrivals."""

import random

import pytest

from rvsense.daemon.clocks import BIN_S, FEWEST_BINS, Clocks, StreamClock, line_slope

START_NS = 1_800_000_000 * 10**9
PERIOD_S = 1 / 30


def run(
    seconds: float, *, drift_ppm: float = 0.0, ahead_s: float = 0.0, seed: int = 0
) -> StreamClock:
    """A stream whose clock runs fast by `drift_ppm` and `ahead_s`, over a link that jitters."""
    chance, clock = random.Random(seed), StreamClock()
    for number in range(round(seconds / PERIOD_S)):
        taken_s = number * PERIOD_S
        stamp_ns = START_NS + round((taken_s * (1 + drift_ppm * 1e-6) + ahead_s) * 1e9)
        delay_s = 0.010 + chance.expovariate(1 / 0.004)
        clock.took(stamp_ns, 0, START_NS + round((taken_s + delay_s) * 1e9))
    return clock


def test_the_delay_is_the_way_and_the_clocks_difference() -> None:
    """A clock that is ahead makes frames arrive before they were taken."""
    told = run(20).as_map()
    assert 10 < told["delay_p50_ms"] < 15
    assert 20 < told["delay_p99_ms"] < 40
    assert run(20, ahead_s=0.5).as_map()["delay_p50_ms"] == pytest.approx(-487, abs=3)


@pytest.mark.parametrize("drift_ppm", [-200.0, -5.0, 0.0, 5.0, 50.0])
def test_the_drift_is_found_under_the_jitter(drift_ppm: float) -> None:
    """To a millionth after five minutes, though single frames jitter by milliseconds."""
    told = run(300, drift_ppm=drift_ppm).as_map()
    assert told["drift_ppm"] == pytest.approx(drift_ppm, abs=1.0)
    assert abs(told["drift_ppm"] - drift_ppm) < 4 * told["drift_error_ppm"] < 3


def test_half_a_minute_comes_before_any_claim() -> None:
    """A line through a few floors would say anything."""
    assert run(BIN_S * (FEWEST_BINS - 1)).as_map()["drift_ppm"] is None
    assert run(BIN_S * (FEWEST_BINS + 2)).as_map()["drift_ppm"] is not None


def test_another_clock_starts_afresh() -> None:
    """A new epoch, or a clock that was set, is not a drift."""
    clock = run(60)
    assert clock.as_map()["drift_ppm"] is not None
    clock.took(START_NS + 60 * 10**9, 1, START_NS + 60 * 10**9)
    assert clock.as_map()["drift_ppm"] is None
    assert clock.as_map()["delay_p99_ms"] == 0.0
    clock = run(60)
    for _ in range(2):
        clock.took(START_NS, 0, START_NS + 62 * 10**9)
    assert clock.as_map()["delay_p50_ms"] == 62_000.0


def test_one_frame_that_is_late_costs_no_history() -> None:
    """It was held up; two in a row are of another clock."""
    clock = run(60)
    before = clock.as_map()
    clock.took(START_NS + 60 * 10**9, 0, START_NS + 62 * 10**9)
    assert clock.as_map() == before
    clock.took(START_NS + 62 * 10**9, 0, START_NS + 62 * 10**9 + 10**7)
    clock.took(START_NS + 62 * 10**9, 0, START_NS + 64 * 10**9)
    assert clock.as_map()["drift_ppm"] is not None


@pytest.mark.parametrize("step_s", [0.1, -0.1, 0.9])
def test_a_step_of_this_machines_clock_is_no_drift_of_the_devices(step_s: float) -> None:
    """It moves the delays of both streams at once, and by as much."""
    chance, clocks = random.Random(1), Clocks()
    for number in range(round(180 / PERIOD_S)):
        taken_s = number * PERIOD_S
        for stream, behind_s in (("radar", 0.0), ("camera", 0.7)):
            if taken_s < behind_s:
                continue
            came_s = taken_s + 0.010 + chance.expovariate(1 / 0.004)
            came_s += step_s if taken_s > 60 else 0.0
            stamp_ns = START_NS + round(taken_s * 1e9)
            clocks.took("north", stream, stamp_ns, 0, START_NS + round(came_s * 1e9))
    for told in clocks.as_map("north").values():
        assert told["drift_ppm"] == pytest.approx(0, abs=5)
        assert told["drift_error_ppm"] < 2


def test_memory_is_bounded() -> None:
    """Ten minutes of floors and a few seconds of delays, however long it runs."""
    clock = StreamClock()
    for second in range(5_000):
        clock.took(START_NS + second * 10**9, 0, START_NS + second * 10**9)
    assert len(clock._floors) == 300
    assert len(clock._delays_ms) == 256
    assert clock.as_map()["drift_ppm"] == 0.0


def test_a_line_without_noise_has_no_error() -> None:
    """And one through too few points no slope."""
    points = [(x, 3.0 - 0.5 * x) for x in range(FEWEST_BINS)]
    assert line_slope(points) == pytest.approx((-0.5, 0.0), abs=1e-6)
    assert line_slope(points[1:]) is None


def test_sites_and_streams_have_clocks_of_their_own() -> None:
    """What is not known is not there."""
    clocks = Clocks()
    clocks.took("north", "radar", START_NS, 0, START_NS + 10**6)
    clocks.took("south", "camera", START_NS, 0, START_NS + 2 * 10**6)
    assert clocks.as_map("north").keys() == {"radar"}
    assert clocks.as_map("south")["camera"]["delay_p50_ms"] == 2.0
    assert clocks.as_map("west") == {}
