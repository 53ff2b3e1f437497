"""Joins labels to the radar frames they speak of. Pure.

A label names a stamp; its frame may have come just before it or come just after. Of each site
the newest frames and the newest labels without a frame are kept, and no more.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from rvsense.frames import LabelFrame, RadarFrame

NEAR_NS = 16_666_667
"""A label made on a camera image may be half a period off its radar frame."""


@dataclass(slots=True)
class LabelDesk:
    """One site's recent radar frames and its labels that still wait for theirs."""

    frames_kept: int
    labels_kept: int = 64
    expired: int = 0
    _frames: OrderedDict[tuple[int, int], RadarFrame] = field(default_factory=OrderedDict)
    _labels: OrderedDict[tuple[int, int], LabelFrame] = field(default_factory=OrderedDict)

    def frame(self, frame: RadarFrame) -> LabelFrame | None:
        """A radar frame came in; returns the label that waited for it."""
        self._frames[frame.epoch, frame.stamp_ns] = frame
        if len(self._frames) > self.frames_kept:
            self._frames.popitem(last=False)
        if not self._labels:
            return None
        near = [k for k in self._labels if _near(k, frame.epoch, frame.stamp_ns)]
        if not near:
            return None
        return self._labels.pop(min(near, key=lambda k: abs(k[1] - frame.stamp_ns)))

    def label(self, label: LabelFrame) -> RadarFrame | None:
        """A label came in; returns its frame, or None when it has to wait for one."""
        key = (label.epoch, label.stamp_ns)
        if key in self._frames:
            return self._frames[key]
        near = [k for k in self._frames if _near(k, *key)]
        if near:
            return self._frames[min(near, key=lambda k: abs(k[1] - label.stamp_ns))]
        if self._has_passed(*key):
            self.expired += 1
            return None
        self._labels[key] = label
        if len(self._labels) > self.labels_kept:
            self._labels.popitem(last=False)
            self.expired += 1
        return None

    def waits(self, label: LabelFrame) -> bool:
        """Whether this label is kept until its frame comes."""
        return (label.epoch, label.stamp_ns) in self._labels

    def frames(self) -> list[tuple[int, int]]:
        """(epoch, stamp_ns) of the frames at hand, in the order in which they came."""
        return list(self._frames)

    def _has_passed(self, epoch: int, stamp_ns: int) -> bool:
        """Whether the frame of such a label has been forgotten: all that are kept are newer."""
        full = len(self._frames) >= self.frames_kept
        return full and (epoch, stamp_ns + NEAR_NS) < min(self._frames)


def _near(key: tuple[int, int], epoch: int, stamp_ns: int) -> bool:
    return key[0] == epoch and abs(key[1] - stamp_ns) <= NEAR_NS
