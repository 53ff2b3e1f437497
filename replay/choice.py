"""Which annotated frames become label messages. A pure function of seed, sequence and frame.

The choice hangs on nothing else: not on the order of play, the loop, or what else is there;
a larger fraction keeps every frame of a smaller one.
"""

from hashlib import blake2b
from typing import Literal

from rvsense.replay.sequence import Split

Purpose = Literal["train", "score"]


def draw(seed: int, sequence: str, frame_id: int) -> float:
    """A number in [0, 1) that belongs to this frame under this seed."""
    key = f"{seed}/{sequence}/{frame_id}".encode()
    return int.from_bytes(blake2b(key, digest_size=6).digest(), "big") / 2**48


def purpose_of(
    split: Split, sequence: str, frame_id: int, *, fraction: float, score: bool, seed: int
) -> Purpose | None:
    """What the label of an annotated frame is sent for; None when it is not sent.

    A frame of the test split is never sent to be learned.
    """
    if split == "train" and draw(seed, sequence, frame_id) < fraction:
        return "train"
    return "score" if score else None
