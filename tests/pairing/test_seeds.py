"""Thousands of small worlds by seed: loss, jitter, disorder, duplicates, jumps, epochs, silence."""

import os
import random
from typing import Any

import pytest

from rvsense.config import Pairing
from rvsense.daemon.decisions import Frame, Paired, Stream

MS = 1_000_000
STREAMS: tuple[Stream, Stream] = ("radar", "camera")
WORLDS = int(os.environ.get("RVSENSE_PAIRING_WORLDS", "3000"))
BATCHES = 10


def world(rng: random.Random) -> tuple[Pairing, list[Frame]]:
    """Settings and arrivals; `item` is the (clock, moment) a frame was really captured in."""
    options = Pairing(
        tolerance_s=rng.choice([None, 0.01, 0.05]),
        offset_s=rng.choice([None, 0.0]),
        lateness_s=rng.choice([0.05, 0.2]),
        idle_timeout_s=rng.choice([0.5, 2.0]),
        max_pending_frames=rng.choice([16, 512]),
    )
    jump_ms = rng.choice([0, 0, -3_600_000, 3_600_000, -700, -400])
    jump_at = rng.randint(20, 60)
    declared = rng.random() < 0.5
    silent_from = rng.choice([1000, 1000, rng.randint(10, 80)])
    arrivals = []
    for stream in STREAMS:
        switch = jump_at + (rng.randint(0, 3) if stream == "camera" else 0)
        for k in range(90):
            if rng.random() < 0.05 or (stream == "camera" and silent_from <= k < silent_from + 40):
                continue
            jumped = bool(jump_ms) and k >= switch
            captured = k * 33 * MS + rng.randint(-2 * MS, 2 * MS)
            stamp = captured + jump_ms * MS * jumped
            epoch = int(jumped and declared)
            frame = Frame(stream, k, stamp, epoch, 1, captured, (jumped, k))
            delay = rng.randint(0, 20 * MS)
            arrivals += [(captured + delay, rng.random(), frame)] * (1 + (rng.random() < 0.03))
    return options, [frame for *_, frame in sorted(arrivals, key=lambda entry: entry[:2])]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_worlds(tools: Any, batch: int) -> None:
    """P1, P3, P7 to P9 in every world: no pair across a clock jump, and pairs go on after it."""
    for seed in range(batch, WORLDS, BATCHES):
        options, frames = world(random.Random(seed))
        result = tools.run(options, frames)
        last: dict[tuple[str, int], int] = {}
        for pair in result.pairs:
            assert pair.radar.item[0] == pair.camera.item[0], f"seed {seed}: pair across a jump"
            for frame in (pair.radar, pair.camera):
                key = (frame.stream, pair.era)
                assert frame.stamp_ns > last.get(key, -(1 << 62)), f"seed {seed}: order"
                last[key] = frame.stamp_ns
        ended = sum(2 if isinstance(decision, Paired) else 1 for decision in result.decisions)
        assert ended == len(frames), f"seed {seed}: a frame ended twice or never"
        late_pairs = [pair for pair in result.pairs if pair.radar.item[1] >= 70]
        cameras = {frame.seq for frame in frames if frame.stream == "camera"}
        if len({*range(70, 90)} & cameras) > 5:
            assert late_pairs, f"seed {seed}: stalled"
