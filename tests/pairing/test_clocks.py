"""Offset, drift, loss and frame rates: the estimate finds the right partners and keeps them."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from rvsense.config import Pairing
from rvsense.daemon import offset
from rvsense.daemon.decisions import Frame, Stream

MS = 1_000_000
STREAMS: tuple[Stream, Stream] = ("radar", "camera")


@dataclass(frozen=True)
class Scene:
    """Two streams; a radar and a camera frame of equal seq show the same moment at equal rates."""

    frames: int = 1500
    offset_ms: float = 15.0
    loss: float = 0.05
    jitter_ms: float = 1.5
    drift_ppm: float = 0.0
    radar_hz: float = 30.0
    camera_hz: float = 30.0

    def make(self, seed: int) -> list[Frame]:
        """Frames in the order of capture."""
        rng = random.Random(seed)
        made = []
        for k in range(self.frames):
            for stream in STREAMS:
                rate_hz = self.radar_hz if stream == "radar" else self.camera_hz
                stamp_ms = k * 1000 / rate_hz + rng.gauss(0, self.jitter_ms)
                if stream == "radar":
                    stamp_ms = stamp_ms * (1 + self.drift_ppm * 1e-6) + self.offset_ms
                if rng.random() >= self.loss:
                    made.append(Frame(stream, k, round(stamp_ms * MS), 0, 1, 0))
        return sorted(made, key=lambda frame: frame.stamp_ns)


def true_pairs(frames: list[Frame]) -> set[tuple[int, int]]:
    """The moments that both streams kept."""
    seqs = {stream: {f.seq for f in frames if f.stream == stream} for stream in ("radar", "camera")}
    return {(seq, seq) for seq in seqs["radar"] & seqs["camera"]}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("offset_ms", [0.0, 15.0, -15.0, 9.0])
def test_constant_offset(tools: Any, offset_ms: float, seed: int) -> None:
    """Offset and 5 % loss: every true pair from the first on, and not one wrong partner."""
    frames = Scene(offset_ms=offset_ms).make(seed)
    result = tools.run(Pairing(), frames)
    assert set(result.seqs) == true_pairs(frames)
    assert abs(result.pairer.offset_ns - offset_ms * MS) < 2 * MS


@pytest.mark.parametrize("seed", range(3))
def test_no_estimate_is_worse(tools: Any, seed: int) -> None:
    """The estimate earns its keep: 50 ms of tolerance round 0 in its place takes wrong partners."""
    frames = Scene().make(seed)
    blind = tools.run(Pairing(offset_s=0.0, tolerance_s=0.05), frames)
    wrong = [pair for pair in blind.seqs if pair[0] != pair[1]]
    assert len(wrong) > 0.05 * len(blind.seqs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lateness_s", [0.05, 0.2])
def test_estimates_ignore_arrival_order(tools: Any, lateness_s: float, seed: int) -> None:
    """P4 with everything estimated: shuffled arrivals give the same pairs, offset and tolerance."""
    frames = Scene(drift_ppm=150, frames=600).make(seed)
    arrivals = tools.shuffled(frames, round(lateness_s * 1e9), random.Random(seed))
    options = Pairing(lateness_s=lateness_s)
    one, other = tools.run(options, frames), tools.run(options, arrivals)
    assert one.pairs == other.pairs
    assert one.pairer.offset_ns == other.pairer.offset_ns
    assert one.pairer.tolerance_ns == other.pairer.tolerance_ns


@pytest.mark.parametrize("drift_ppm", [200.0, -200.0])
def test_drift_is_followed(tools: Any, drift_ppm: float) -> None:
    """200 ppm for ten minutes, 120 ms in all: true partners only, offset within 2 ms throughout."""
    frames = Scene(frames=18_000, drift_ppm=drift_ppm).make(0)
    result = tools.run(Pairing(), frames)
    assert set(result.seqs) == true_pairs(frames)
    for pair in result.pairs:
        true_ns = 15 * MS + pair.camera.stamp_ns * drift_ppm * 1e-6
        assert abs(pair.offset_ns - true_ns) < 2 * MS


@pytest.mark.parametrize(("radar_hz", "camera_hz"), [(30.0, 29.97), (30.0, 25.0), (30.0, 29.0)])
def test_two_rates_are_no_drift(tools: Any, radar_hz: float, camera_hz: float) -> None:
    """Free-running streams of two rates: partners stay near in time, however long it runs."""
    scene = Scene(9000, offset_ms=0.0, radar_hz=radar_hz, camera_hz=camera_hz)
    result = tools.run(Pairing(), scene.make(1))
    period_ns = 1e9 / camera_hz
    assert all(abs(pair.skew_ns) < 1.1 * period_ns for pair in result.pairs)
    assert len(result.pairs) > 0.6 * 9000 * camera_hz / 30


@pytest.mark.parametrize(("radar_hz", "camera_hz"), [(30.0, 10.0), (10.0, 30.0), (2.0, 2.0)])
def test_tolerance_is_half_the_slower_period(tools: Any, radar_hz: float, camera_hz: float) -> None:
    """The automatic tolerance comes from the slower stream, whichever that is."""
    scene = Scene(300, loss=0.0, radar_hz=radar_hz, camera_hz=camera_hz, offset_ms=4.0)
    slowest = min(radar_hz, camera_hz)
    last_s = 300 / max(radar_hz, camera_hz)
    frames = [frame for frame in scene.make(2) if frame.stamp_ns < last_s * 1e9]
    result = tools.run(Pairing(), frames)
    assert result.pairer.tolerance_ns == pytest.approx(0.5e9 / slowest, rel=0.05)
    assert result.pairer.offset_ns == pytest.approx(4 * MS, abs=2 * MS)
    assert len(result.pairs) >= 0.95 * last_s * slowest


def test_a_step_beyond_the_tolerance_is_found_again(tools: Any) -> None:
    """After the camera clock steps by 12 ms at a tolerance of 5 ms, pairs come back."""
    frames = Scene(loss=0.0, jitter_ms=0.5).make(3)
    stepped = [
        frame._replace(stamp_ns=frame.stamp_ns + 12 * MS)
        if frame.stream == "camera" and frame.seq >= 500
        else frame
        for frame in frames
    ]
    result = tools.run(Pairing(tolerance_s=0.005), sorted(stepped, key=lambda f: f.stamp_ns))
    assert {(seq, seq) for seq in range(600, 1500)} <= set(result.seqs)
    assert abs(result.pairer.offset_ns - 3 * MS) < MS


def test_offset_of_half_a_period_is_one_of_two(tools: Any) -> None:
    """At half a period either neighbour is right; one is chosen and kept to."""
    frames = Scene(offset_ms=1000 / 60, loss=0.0).make(4)
    steps = {radar - camera for radar, camera in tools.run(Pairing(), frames).seqs}
    assert steps in ({0}, {-1})


def test_no_offset_is_claimed_without_evidence() -> None:
    """Few frames, or rates that do not fit, give None rather than a guess."""
    few = [k * 33 * MS for k in range(5)]
    assert offset.offset_ns(few, few) is None
    many = [k * 33 * MS for k in range(40)]
    assert offset.offset_ns(many, [k * 41 * MS for k in range(32)]) is None
    assert offset.offset_ns([stamp + 7 * MS for stamp in many], many) == 7 * MS


def test_given_figures_stay(tools: Any) -> None:
    """Offset and tolerance from the settings are used as they are, from the first frame on."""
    result = tools.run(Pairing(offset_s=0.015, tolerance_s=0.008), Scene().make(0))
    assert (result.pairer.offset_ns, result.pairer.tolerance_ns) == (15 * MS, 8 * MS)
    assert {pair.offset_ns for pair in result.pairs} == {15 * MS}
