"""A day in lock-step by the virtual clock: 5.2 million frames, and what memory does meanwhile.

The whole daemon runs, with no check but these: it answers every radar frame, forwards every pair,
ends with 0, and does not grow. A frame takes 1/30 s of virtual time, so that all that the daemon
does by its clock (pages, metrics, checkpoints, models) happens as often as in a day.
"""

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rvsense import wire
from rvsense.config import Config, Endpoints, Learning, Replay
from rvsense.frames import CLASSES, CameraFrame, LabelFrame, RadarFrame, SceneObject
from tests.simulate.models import HEATMAPS, PretendedModel
from tests.simulate.scenario import INTAKE, STATE, Scenario, draw
from tests.simulate.scheduler import START_NS
from tests.simulate.sources import Message, Sent
from tests.simulate.world import World

FRAMES_PER_S = 30
HOUR_S = 3600
LABEL_EVERY = 100
"""So many that the exam is full within the first hour."""
LOST_EVERY = 997
SCENE_FRAMES = 300
PAYLOADS = [heatmap.tobytes() for heatmap in HEATMAPS]
SETTLED_H = 2
"""By then every bounded window of figures is full."""


@dataclass(frozen=True, slots=True)
class Hour:
    """How the process stood after so many hours; descriptors of the pretended disk included."""

    hour: int
    memory_mb: float
    descriptors: int
    wall_s: float


def frames(hours: float) -> Iterator[Message]:
    """Radar, camera and a few labels of one site; every 997th radar frame is missing."""
    for index in range(round(hours * HOUR_S * FRAMES_PER_S)):
        stamp_ns = START_NS + index * 1_000_000_000 // FRAMES_PER_S
        truth = index // SCENE_FRAMES % len(CLASSES)
        place: dict[str, Any] = {"site": "site0", "seq": index, "stamp_ns": stamp_ns}
        if index % LOST_EVERY:
            yield _message(RadarFrame(**place, heatmap=HEATMAPS[truth]), "radar")
        camera = place | {"stamp_ns": stamp_ns + 4_000_000}
        yield _message(CameraFrame(**camera, codec="jpeg", image=b"\xff\xd8"), "camera")
        if index % LABEL_EVERY == 1:
            objects = (SceneObject(CLASSES[truth], 5.0, 0.0),) if truth else ()
            yield _message(LabelFrame(**place, objects=objects), "label")


def _message(frame: Any, kind: str) -> Message:
    parts = wire.encode(frame)
    if kind == "radar":  # the same bytes for all frames of a class: nothing to copy
        parts[1] = PAYLOADS[int(frame.heatmap[0, 0, 0, 0])]
    return Message(parts, Sent(0, None, kind, frame.site, 0, 0))


def scenario() -> Scenario:
    """Defaults, but for where things are."""
    config = Config(
        state_dir=STATE,
        endpoints=Endpoints(intake=INTAKE),
        learning=replace(Learning(), preset="edge", device="cpu"),
        replay=Replay(path="/data", speed=0.0, exit_at_end=True),
    )
    drawn = draw(0)
    return replace(
        drawn,
        config=config,
        faults=(),
        streams=drawn.streams[:1],
        publish_every_steps=100,
        checkpoint_every_s=60.0,
    )


def live(hours: float) -> Iterator[Hour]:
    """Live through so many hours; how the process stands after each.

    Raises:
        AssertionError: something was dropped, or the daemon did not end well.
    """
    world, began = World(scenario()), time.monotonic()
    world.messages = frames(hours)
    world.unwatched()
    with world.entered():
        PretendedModel.slowed = 1 / FRAMES_PER_S / PretendedModel.seconds
        world.start()
        hour = 0
        while world.exit_status is None and hour < hours + SETTLED_H:
            hour += 1
            world.run(hour * HOUR_S)
            gc.collect()
            descriptors = len(os.listdir("/proc/self/fd")) + len(world.disk.Path.handles)
            yield Hour(hour, _memory_mb(), descriptors, time.monotonic() - began)
        parts = world.newest_loop.parts
        assert world.exit_status == 0, f"exit status {world.exit_status}"
        assert not parts.tally.dropped, parts.tally.dropped
        assert parts.tally.answered == parts.tally.received["radar"]
        assert parts.tally.learn == world.checks.learned_total == parts.learner.outbox.forwarded


def growth_mb(hours: list[Hour]) -> float:
    """Memory's growth in an hour, once settled."""
    first, last = hours[min(SETTLED_H, len(hours) - 1) - 1], hours[-1]
    return (last.memory_mb - first.memory_mb) / max(last.hour - first.hour, 1)


def opened(hours: list[Hour]) -> int:
    """By how many descriptors the most of any hour is above the first; the last closes some."""
    return max(hour.descriptors for hour in hours) - hours[0].descriptors


def _memory_mb() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
