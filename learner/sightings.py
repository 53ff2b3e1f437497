"""What the camera saw lately, for labels that come after the pair of their frame."""

import torch
from torch import Tensor

from rvsense.learner.rows import Column, Rows

REMEMBERED = 512
"""Newest pairs of all sites; one takes 2.5 KiB with preset edge, 8 KiB with paper."""
REACH_NS = 200_000_000
"""A picture so near in time shows what the frame did. Pairs come at 5 Hz: a labelled frame is
seldom one of them, and seldom farther than this from one."""


class Sightings:
    """Keys of the newest pairs, with place and stamp."""

    def __init__(self, key_dim: int) -> None:
        self.rows = Rows(
            REMEMBERED,
            {
                "key": Column((key_dim,), torch.float16),
                "place": Column((), torch.int64),
                "stamp": Column((), torch.int64),
                "order": Column((), torch.int64),
            },
        )

    def see(self, key: Tensor, place: int, stamp_ns: int) -> None:
        """Remember a pair; the oldest is forgotten."""
        order = self.rows.take("order")
        full = self.rows.fill == self.rows.capacity
        self.rows.put(
            int(order.argmin()) if full else self.rows.fill,
            key=key.half(),
            place=place,
            stamp=stamp_ns,
            order=int(order.max()) + 1 if len(order) else 0,
        )

    def nearest(self, place: int, stamp_ns: int) -> tuple[Tensor, int] | None:
        """The (D,) key of that place nearest in time, and how many ns away; None out of reach."""
        apart = (self.rows.take("stamp") - stamp_ns).abs()
        near = ((self.rows.take("place") == place) & (apart <= REACH_NS)).nonzero()[:, 0]
        if not len(near):
            return None
        slot = near[apart[near].argmin()]
        return self.rows.take("key")[slot].clone(), int(apart[slot])
