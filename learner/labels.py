"""Labelled frames, for the linear head alone: the encoder never sees a label.

Bounded by class: when a class has its share of the places, its oldest frame leaves. In a
table that has shrunk below what was kept, a class short of its share takes from the most numerous.
"""

import hashlib
import zlib

import torch
from torch import Tensor

from rvsense.frames import CLASSES
from rvsense.learner.rows import Column, Rows
from rvsense.link import Label

GROUP_NS = 10 * 10**9
"""Frames of one place within such a stretch are near copies, and stay in one fold."""


def stretch_of(site: str, epoch: int, stamp_ns: int) -> int:
    """A number for the stretch of recording that a frame belongs to."""
    return zlib.crc32(f"{site}/{epoch}/{stamp_ns // GROUP_NS}".encode())


class LabelStore:
    """Encoder inputs (n, C, 128, 128) fp16 with class index and group."""

    def __init__(self, capacity: int, channels: int) -> None:
        self.rows = Rows(
            capacity,
            {
                "input": Column((channels, 128, 128), torch.float16),
                "label": Column((), torch.int64),
                "group": Column((), torch.int64),
                "order": Column((), torch.int64),
            },
        )
        self._share = capacity // len(CLASSES)

    def add(self, label: Label, prepared: Tensor) -> None:
        """Keep a labelled frame; `prepared` is its (C, 128, 128) encoder input."""
        index = CLASSES.index(label.label)
        self.rows.put(
            self._slot(index),
            input=prepared.half(),
            label=index,
            group=stretch_of(label.site, label.epoch, label.stamp_ns),
            order=self.seen,
        )

    @property
    def seen(self) -> int:
        """Labels taken so far, those that have left included."""
        order = self.rows.take("order")
        return int(order.max()) + 1 if len(order) else 0

    def __len__(self) -> int:
        return self.rows.fill

    def _slot(self, index: int) -> int:
        labels = self.rows.take("label")
        counts = labels.bincount(minlength=len(CLASSES))
        if counts[index] < self._share:
            if self.rows.fill < self.rows.capacity:
                return self.rows.fill
            index = int(counts.argmax())
        mine = (labels == index).nonzero()[:, 0]
        return int(mine[self.rows.take("order")[mine].argmin()])


def apart_from(pseudo: Rows, real: Rows) -> Tensor:
    """Slots of the `pseudo`-labelled frames that no person has labelled, by their very content.

    Stamps would not do: after a jump of the clock that no source declared, the epoch of a pair is
    not that of its label.
    """
    known = {_digest(row) for row in real.take("input")}
    rows = enumerate(pseudo.take("input"))
    return torch.tensor([i for i, row in rows if not known or _digest(row) not in known]).long()


def _digest(row: Tensor) -> bytes:
    return hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest()
