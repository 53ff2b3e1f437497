"""The player of a replay in lock-step: sends every frame of a data set, and waits for room."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from rvsense import wire
from rvsense.frames import CLASSES, AnyFrame, CameraFrame, LabelFrame, RadarFrame, SceneObject
from tests.simulate.models import HEATMAPS
from tests.simulate.processes import Spawned
from tests.simulate.scheduler import START_NS, Scheduler
from tests.simulate.sources import Message, Sent

LOSS = 0.05
LABELS = 0.2
ROOM_S, MOST_ROOM_S = 0.002, 0.5
LONG_ROOM_S = 0.25
"""For a long run: the intake has frames for seconds when it is full."""


def data_set(seed: int, sites: int, frames: int) -> list[Message]:
    """Messages in the order of their stamps, the same for the same seed."""
    rng = random.Random(f"data {seed}")
    made: list[tuple[int, Message]] = []
    number = 0
    for site in range(sites):
        period_ns = round(1e9 / rng.choice((10, 30)))
        for index in range(frames):
            taken_ns = START_NS + index * period_ns
            truth = index // 20 % len(CLASSES)
            objects = (SceneObject(CLASSES[truth], 5.0, 0.0),) if truth else ()
            for kind in ("radar", "camera", "label"):
                number += 1
                if rng.random() < (1 - LABELS if kind == "label" else LOSS):
                    continue
                stamp_ns = taken_ns
                if kind == "camera":
                    stamp_ns += 5_000_000 + rng.randint(-2_000_000, 2_000_000)
                place: dict[str, Any] = {"site": f"site{site}", "seq": index, "stamp_ns": stamp_ns}
                frame: AnyFrame
                if kind == "radar":
                    frame = RadarFrame(**place, source={"number": number}, heatmap=HEATMAPS[truth])
                elif kind == "camera":
                    image = b"\xff\xd8" + number.to_bytes(8)
                    frame = CameraFrame(**place, codec="jpeg", image=image)
                else:
                    frame = LabelFrame(**place, objects=objects)
                sent = Sent(number, frame, kind, f"site{site}", taken_ns, 0)
                made.append((stamp_ns, Message(wire.encode(frame), sent)))
    made.sort(key=lambda pair: pair[0])
    return [message for _, message in made]


def player(
    scheduler: Scheduler,
    deliver: Callable[[Message], bool],
    messages: Iterable[Message],
    first_room_s: float = ROOM_S,
) -> Callable[[Spawned], int]:
    """What the process does: everything once, then a report.

    Where there is no room it waits for `first_room_s`, and twice as long each time after that.
    """

    def main(spawned: Spawned) -> int:
        sent: Counter[str] = Counter()
        for message in messages:
            room_s = first_room_s
            while not deliver(message):
                scheduler.sleep(room_s)
                room_s = min(2 * room_s, MOST_ROOM_S)
            sent[message.sent.kind] += 1
            scheduler.pause()
        spawned.stdout.write(json.dumps({"sent": dict(sent), "delivered": True}) + "\n")
        spawned.stdout.seek(0)
        return 0

    return main
