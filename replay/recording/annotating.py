"""What labels make of an exported sequence: annotations that say no more than the labels do.

Rules:
- A scene without a line is an empty one to ROD2021. So annotations are written only where labels
  speak of every frame that the annotation would speak of.
- An object where ROD2021 can have none would make its scene an empty one: its label is no label.
- A sequence that had no name is cut at the ends of its labelled spans: each is then a sequence of
  its own, labelled throughout. A span of less than SPAN_FRAMES is not cut out: its neighbours are
  near copies of it, and might stand on the other side of a split.
"""

from collections.abc import Collection, Mapping
from itertools import groupby

from rvsense.frames import SceneObject
from rvsense.replay.annotations import TAIL_FRAMES, in_front

SPAN_FRAMES = 30

Objects = tuple[SceneObject, ...]


def can_be_written(objects: Objects) -> bool:
    """Whether a reader of the annotation would find all these objects."""
    return all(in_front(item.range_m, item.azimuth_rad) for item in objects)


def says_all(radar: Collection[int], labels: Mapping[int, Objects]) -> bool:
    """Whether the annotation that the labels make says of no frame what no label said."""
    last = max((number for number, objects in labels.items() if objects), default=-1)
    spoken_of = {number for number in radar if number <= last}
    if last < 0 or max(radar, default=-1) - last >= TAIL_FRAMES:
        spoken_of = set(radar)
    return spoken_of <= labels.keys()


def cuts(radar: Collection[int], labels: Mapping[int, Objects]) -> list[int]:
    """The frames at which a new sequence begins, ascending; the first of all is not among them."""
    if says_all(radar, labels):
        return []
    numbers = sorted(radar)
    runs = [list(run) for _, run in groupby(numbers, key=labels.__contains__)]
    starts: set[int] = set()
    for run, rest in zip(runs, [*runs[1:], []], strict=True):
        if run[0] in labels and run[-1] - run[0] + 1 >= SPAN_FRAMES:
            starts.update([run[0], *rest[:1]])
    return sorted(starts - {numbers[0]})


def lines(labels: Mapping[int, Objects]) -> str:
    """The annotation file."""
    return "".join(
        f"{frame_id} {_number(item.range_m)} {_number(item.azimuth_rad)} {item.label}\n"
        for frame_id, objects in sorted(labels.items())
        for item in objects
    )


def _number(value: float) -> str:
    """With four decimals as ROD2021 has it, and with more where four are not exact."""
    short = f"{value:.4f}"
    return short if float(short) == value else repr(value)
