"""A model that is no network: it knows the class that a heatmap has written into it.

It is published, checked, loaded, examined and swapped by the daemon's own code; only what torch
would compute is pretended.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch

from rvsense import published
from rvsense.answer import Answer
from rvsense.errors import ModelError
from rvsense.frames import CLASSES, RadarFrame

KINDS = ("good", "bad", "raising", "unfit", "damaged")
"""bad     wrong about everything: the exam must find it out
raising  classify raises for one class
unfit    does not load
damaged  a file is not what the manifest says"""
NUMBER_SCALE = 1e-6


def heatmap_of(truth: int) -> Any:
    """A heatmap that says its class; (1, 128, 128, 2), half floats."""
    heatmap = np.zeros((1, 128, 128, 2), np.float16)
    heatmap[0, 0, 0, 0] = truth
    return heatmap


HEATMAPS = [heatmap_of(truth) for truth in range(len(CLASSES))]


def publish(models: Any, step: int, number: int, kind: str, created_ns: int) -> Any:
    """Write a model; `number` tells it from all others in its answers."""
    return published.publish(
        models,
        weights={"facts": torch.tensor([number, KINDS.index(kind)], dtype=torch.float64)},
        head=None,
        familiarity=None,
        manifest={"step": step, "created_ns": created_ns, "encoder": {}},
    )


def damage(path: PurePosixPath, disk: Any) -> None:
    """Change a byte of a published model's weights, so that only the checksum tells."""
    file = disk.file(path / published.WEIGHTS)
    file.data = file.synced = file.data[:-16] + bytes([file.data[-16] ^ 1]) + file.data[-15:]


class PretendedModel:
    """In place of ServableModel.

    `sleep` lets a classification take its time; `number` comes back in the score of every answer.
    """

    sleep: Callable[[float], None]
    seconds: float = 0.002
    slowed = 1.0

    def __init__(self, model: published.PublishedModel, device: torch.device) -> None:
        self.published = model
        number, kind = model.weights()["facts"].tolist()
        self.number, self.kind = int(number), KINDS[int(kind)]
        self.sleep(self.seconds)
        if self.kind == "unfit":
            raise ModelError(f"{model.path}: head and encoder do not fit together")

    def classify(self, heatmaps: Sequence[Any]) -> list[Answer]:
        """As ServableModel's."""
        cls = type(self)
        self.sleep(cls.seconds * cls.slowed * len(heatmaps))
        return [self._answer(int(heatmap[0, 0, 0, 0])) for heatmap in heatmaps]

    def _answer(self, truth: int) -> Answer:
        if self.kind == "raising" and truth == 1:
            raise RuntimeError("this model cannot do pedestrians")
        label = CLASSES[(truth + (self.kind == "bad")) % len(CLASSES)]
        return Answer(label, {label: 0.9}, self.number * NUMBER_SCALE, None)


def truth_of(frame: RadarFrame) -> int:
    """The class that a frame says it shows."""
    return int(frame.heatmap[0, 0, 0, 0])
