"""Labelled frames, for the linear head alone: the encoder never sees a label.

Bounded by class: when a class has its share of the places, its oldest frame leaves. In a
table that has shrunk below what was kept, a class short of its share takes from the most numerous.
"""

import hashlib
import zlib
from typing import NamedTuple

import torch
from torch import Tensor

from rvsense.frames import CLASSES
from rvsense.learner.place import place_of
from rvsense.learner.rows import Column, Rows
from rvsense.learner.sightings import REACH_NS
from rvsense.link import Label

GROUP_NS = 10 * 10**9
"""Frames of one place within such a stretch are near copies, and stay in one fold."""


def stretch_of(site: str, epoch: int, stamp_ns: int) -> int:
    """A number for the stretch of recording that a frame belongs to."""
    return zlib.crc32(f"{site}/{epoch}/{stamp_ns // GROUP_NS}".encode())


class LabelStore:
    """Encoder inputs (n, C, 128, 128) fp16 with class index, group, and what the camera saw.

    A frame's key is that of the pair nearest in time, `apart` ns away; zeros while there is none.
    """

    def __init__(self, capacity: int, channels: int, key_dim: int = 0) -> None:
        self.rows = Rows(
            capacity,
            {
                "input": Column((channels, 128, 128), torch.float16),
                "label": Column((), torch.int64),
                "group": Column((), torch.int64),
                "order": Column((), torch.int64),
                "key": Column((key_dim,), torch.float16, late=True),
                "place": Column((), torch.int64, late=True),
                "stamp": Column((), torch.int64, late=True),
                "apart": Column((), torch.int64, late=True),
            },
        )
        self._share = capacity // len(CLASSES)

    def add(
        self, label: Label, prepared: Tensor, sighting: tuple[Tensor, int] | None = None
    ) -> None:
        """Keep a labelled frame; `prepared` is its (C, 128, 128) encoder input.

        `sighting` is the key of a picture and how far it is in ns.
        """
        index = CLASSES.index(label.label)
        key, apart = sighting or (torch.zeros(self.rows.columns["key"].shape[1]), 0)
        self.rows.put(
            self._slot(index),
            input=prepared.half(),
            label=index,
            group=stretch_of(label.site, label.epoch, label.stamp_ns),
            order=self.seen,
            key=key,
            place=place_of(label.site, label.epoch),
            stamp=label.stamp_ns,
            apart=apart,
        )

    def see(self, key: Tensor, place: int, stamp_ns: int) -> None:
        """The picture of a pair is that of all labelled frames that had none nearer."""
        apart = (self.rows.take("stamp") - stamp_ns).abs()
        near = ((self.rows.take("place") == place) & (apart <= REACH_NS)).nonzero()[:, 0]
        for slot in near.tolist():
            known = bool(self.rows.take("key")[slot].any())
            if not known or apart[slot] < self.rows.take("apart")[slot]:
                self.rows.put(slot, key=key.half(), apart=int(apart[slot]))

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


class Taught(NamedTuple):
    """Labelled frames, by whomever; every field has n rows."""

    inputs: Tensor
    labels: Tensor
    groups: Tensor
    keys: Tensor
    """(n, D) raw keys; zeros where no picture was at hand."""
    places: Tensor
    stamps_ns: Tensor
    """Both 0 where an earlier version kept the label."""

    @staticmethod
    def of(labels: LabelStore, pseudo: LabelStore) -> "Taught":
        """Every real label, and pseudo-labels of other frames."""
        real, slots = labels.rows, apart_from(pseudo.rows, labels.rows)
        return Taught(
            *(
                torch.cat((real.take(name), pseudo.rows.take(name, slots)))
                for name in ("input", "label", "group", "key", "place", "stamp")
            )
        )


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
