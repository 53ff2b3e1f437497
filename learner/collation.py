"""Data collation by a light object detector, as the paper has it (section IV-A): pairs "can be
further filtered by light object detection algorithms in the vision domain to: concentrate on
learning good encodings for specific objects of interest, balance their distributions".

Also where pseudo-labels come from, for the head alone. The encoder sees none of this: only which
pairs there are.
"""

from dataclasses import dataclass

from torch import Tensor

from rvsense.config import Learning
from rvsense.frames import CLASSES, SceneClass
from rvsense.learner.detector.detectors import Timed
from rvsense.learner.detector.looks import Looks
from rvsense.learner.detector.scene import Scene, Thresholds, read_scene
from rvsense.learner.detector.standing import Standing
from rvsense.learner.pool import NO_CLASS

LEFT_OUT = ("left_out_empty", "left_out_others", "left_out_doubtful")
"""Why a pair is left out: nothing is there, only what is not wanted, nothing for certain."""
COUNTS = ("looks", *LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Finding:
    """What follows from what a pair's image shows."""

    kept: bool = True
    number: int = NO_CLASS
    """The scene's class for a balanced pool."""
    label: SceneClass | None = None
    """A pseudo-label, only of an image that was looked at."""


class Collation:
    """The detector, when it looks, and what is done about it; `counts` is by COUNTS."""

    def __init__(self, learning: Learning, detector: Timed) -> None:
        self.detector = detector
        self.looks = Looks(learning.detector_rate_hz)
        self.standing = Standing(learning.detector_standing_looks, learning.detector_sure)
        self.counts = dict.fromkeys(COUNTS, 0)
        self._labels = learning.label_source == "detector"
        self._wanted = (
            frozenset(learning.wanted.split(",")) if learning.collate == "wanted" else None
        )
        self._limits = Thresholds(
            learning.detector_sure, learning.detector_doubt, learning.detector_least_height
        )

    def judge(self, site: str, place: int, stamp_ns: int, image: Tensor) -> Finding:
        """Look at a (3, h, w) RGB image where it is time to, and say what to do with its pair.

        `place` is the site between two restarts of its clock.
        """
        scene = self.looks.known(place, stamp_ns)
        looked = scene is None
        if scene is None:
            boxes = self.standing.without(site, self.detector.detect(image))
            scene = read_scene(boxes, image.shape[1], self._limits)
            self.looks.saw(place, stamp_ns, scene)
            self.counts["looks"] += 1
        reason = None if self._wanted is None else left_out(scene, self._wanted)
        if reason is not None:
            self.counts[reason] += 1
        return Finding(
            kept=reason is None,
            number=NO_CLASS if scene.label is None else CLASSES.index(scene.label),
            label=scene.label if looked and self._labels else None,
        )

    def state(self) -> dict[str, Tensor]:
        """Everything that the next verdict depends on."""
        return self.looks.state() | self.standing.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self.looks.load(state)
        self.standing.load(state)


def left_out(scene: Scene, wanted: frozenset[str]) -> str | None:
    """Why a pair of this scene is not learned from, one of LEFT_OUT; None when it is."""
    if scene.seen & wanted:
        return None
    if scene.seen:
        return "left_out_others"
    return "left_out_doubtful" if scene.doubtful else "left_out_empty"
