"""Which frames are labelled: one, a span of the past, those to come, those of a table."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from rvsense.errors import UsageError
from rvsense.frames import SceneObject
from rvsense.labelling.sending import Sender, Sent
from rvsense.labelling.table import Wanted
from rvsense.labelling.when import Frame, nearest, told

LOOK_EVERY_S = 0.25
"""A daemon keeps two seconds of frames by default: at this pace none is missed."""

MOST_AHEAD = 64
"""As many labels of a site wait for their frames in the daemon."""

Scene = tuple[SceneObject, ...]


def held_by(
    sender: Sender,
    site: str,
    scene: Scene,
    purpose: str,
    choose: Callable[[Sequence[Frame]], Sequence[Frame]],
) -> Iterator[Sent]:
    """Label the frames that `choose` takes of those at hand.

    Raises:
        UsageError: it takes none; says which there are.
    """
    held = sender.held().get(site, [])
    frames = choose(held)
    if not frames:
        raise UsageError(f"no frame of {site} is at hand for that; at hand: {_extent(held)}")
    for frame in frames:
        yield sender.send(site, frame, scene, purpose)


def from_now(
    sender: Sender,
    site: str,
    scene: Scene,
    purpose: str,
    *,
    looks: Iterable[object],
    epoch: int | None = None,
) -> Iterator[Sent]:
    """Label each frame (of this clock) that has come since the first look, at every look after."""
    last: Frame | None = None
    for number, _ in enumerate(looks):
        at_hand = sender.held().get(site, [])
        held = sorted(frame for frame in at_hand if epoch in (None, frame[0]))
        for frame in held if number else ():
            if last is None or frame > last:
                yield sender.send(site, frame, scene, purpose)
        last = max(held, default=last)


def of_table(
    sender: Sender, labels: Sequence[Wanted], *, looks: Iterable[object]
) -> Iterator[Sent]:
    """Send each label when its frame is there; after the last look the others go ahead of it."""
    waiting = list(labels)
    held: dict[str, list[Frame]] = {}
    for _ in looks:
        held = sender.held()
        ahead: list[Wanted] = []
        for label in waiting:
            frame = frame_of(label, held.get(label.site, []))
            if frame is None:
                ahead.append(label)
            else:
                yield sender.send(label.site, frame, label.objects, label.purpose)
        waiting = ahead
        if not waiting:
            return
    yield from _early(sender, waiting, held)


def _extent(held: Sequence[Frame]) -> str:
    if not held:
        return "none"
    stamps = [stamp for epoch, stamp in held if epoch == max(held)[0]]
    return f"{told(min(stamps))} to {told(max(stamps))}"


def looks(seconds: float) -> Iterator[None]:
    """A look now, others at a steady pace, and one when so many seconds have passed."""
    ends = time.monotonic() + seconds
    yield
    while (left_s := ends - time.monotonic()) > 0:
        time.sleep(min(LOOK_EVERY_S, left_s))
        yield


def frame_of(label: Wanted, held: Sequence[Frame]) -> Frame | None:
    """The frame to name: one at hand, the label's own stamp if that has passed, None if not yet."""
    if not held:
        return None
    found = nearest(held, label.stamp_ns, label.epoch)
    if found is not None:
        return found
    newest = max(held)
    own = (newest[0] if label.epoch is None else label.epoch, label.stamp_ns)
    return own if own < newest else None


def _early(
    sender: Sender, labels: Sequence[Wanted], held: dict[str, list[Frame]]
) -> Iterator[Sent]:
    sent: Counter[str] = Counter()
    for label in labels:
        frames = held.get(label.site, [])
        sent[label.site] += 1
        if not frames or sent[label.site] > MOST_AHEAD:
            use = "ahead" if frames else "no_site"
            yield Sent(label.site, label.epoch, label.stamp_ns, label.objects, use)
            continue
        epoch = max(frames)[0] if label.epoch is None else label.epoch
        yield sender.send(label.site, (epoch, label.stamp_ns), label.objects, label.purpose)
