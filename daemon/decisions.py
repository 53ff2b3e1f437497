"""What the pairing core takes in and what it decides: values only, no logic.

`item` travels with a frame untouched (the payload, or whatever the caller wants back), so nobody
has to keep a second table of pending frames.
"""

from typing import Literal, NamedTuple

Stream = Literal["radar", "camera"]

Reason = Literal["unmatched", "late", "duplicate", "overflow", "stale_epoch"]

REASONS: tuple[Reason, ...] = ("unmatched", "late", "duplicate", "overflow", "stale_epoch")
"""Why a frame ends without a partner; the set is closed.

unmatched    no partner within the tolerance, or the pairing is cheaper without it
late         older than a watermark that decisions were already taken by
duplicate    its stream has a pending frame of the same stamp (the lower `seq` is kept)
overflow     the oldest of a stream whose pending frames or bytes passed their bound
stale_epoch  from an epoch, or from before a clock jump, that the site has left
"""


class Frame(NamedTuple):
    """One frame's arrival: `stamp_ns` is its capture time, `arrival_ns` the caller's clock."""

    stream: Stream
    seq: int
    stamp_ns: int
    epoch: int = 0
    size_bytes: int = 0
    arrival_ns: int = 0
    item: object = None


class Paired(NamedTuple):
    """A final pair.

    `skew_ns` is raw, radar stamp minus camera stamp; `skew_ns - offset_ns` is what the tolerance
    bounds. `era` is the clock that both stamps are of (see `era`): a declared epoch, and the jumps
    within it.
    """

    radar: Frame
    camera: Frame
    skew_ns: int
    offset_ns: int
    era: int


class Dropped(NamedTuple):
    """A frame that ends without a partner."""

    frame: Frame
    reason: Reason


Decision = Paired | Dropped
