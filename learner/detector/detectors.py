"""Detectors by name: the bundled NanoDet-g, or any of torchvision's. One image in, boxes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from rvsense.errors import ConfigError
from rvsense.learner.detector.boxes import Boxes, decode, suppress
from rvsense.learner.detector.network import STRIDES, NanoDet
from rvsense.learner.detector.scene import KINDS
from rvsense.learner.images import letterbox
from rvsense.learner.teacher import load_tensors
from rvsense.machine import NANODET, detector_file

LONG_SIDE = 640
"""The image's longer side as the network sees it. Squashed to a square most boxes are lost."""
LEAST_SCORE = 0.05
"""Boxes below are noise to every reader."""
_COCO = (0, 1, 2, 3, 5, 7)
"""KINDS among COCO's 80 classes."""
# Mean and deviation of blue, green and red in 0..255, as NanoDet was trained.
_MEAN = (103.53, 116.28, 123.675)
_STD = (57.375, 57.12, 58.395)

Clock = Callable[[], float]


class Detector(Protocol):
    """What looks at images."""

    name: str

    def detect(self, image: Tensor) -> Boxes:
        """(3, h, w) uint8 RGB to the boxes of KINDS in its pixels, best first, on the CPU."""


class NanoDetector:
    """NanoDet-g with its preprocessing; `precision` is what the network computes in."""

    name = NANODET

    def __init__(
        self, weights: Path, device: torch.device, precision: torch.dtype = torch.float32
    ) -> None:
        network = NanoDet()
        tensors = {name: value.float() for name, value in load_tensors(weights, "detector").items()}
        _fill(network, tensors, weights)
        self._network = network.to(device, precision).to(memory_format=torch.channels_last)
        self._device, self._precision = device, precision
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._std = torch.tensor(_STD, device=device)[:, None, None]

    @torch.inference_mode()
    def detect(self, image: Tensor) -> Boxes:
        """(3, h, w) uint8 RGB to the boxes of KINDS in its pixels, best first, on the CPU."""
        x, scale = self.prepare(image)
        boxes = self.boxes(self.forward(x))
        return Boxes(boxes.corners / scale, boxes.scores, boxes.kinds)

    def prepare(self, image: Tensor) -> tuple[Tensor, float]:
        """(3, h, w) to the network's (1, 3, h', w') and the factor between the two."""
        small, scale = letterbox(image, LONG_SIDE, STRIDES[-1])
        x = (small.to(self._device).flip(0).float() - self._mean) / self._std
        return x[None].to(self._precision, memory_format=torch.channels_last), scale

    def forward(self, x: Tensor) -> list[Tensor]:
        """The network alone."""
        levels: list[Tensor] = self._network(x)
        return levels

    def boxes(self, levels: list[Tensor]) -> Boxes:
        """The network's outputs for one image to boxes in the network's pixels."""
        return suppress(decode([level[0].float().cpu() for level in levels], _COCO, LEAST_SCORE))


class TorchvisionDetector:
    """A detector of torchvision, which scales and suppresses by itself."""

    def __init__(self, name: str, weights: Path, device: torch.device) -> None:
        from torchvision.models import get_model, get_model_weights

        self.name = name
        categories = get_model_weights(name)["DEFAULT"].meta["categories"]
        lacking = [word for word in KINDS if word not in categories]
        if lacking:
            raise ConfigError(
                f"learning.detector = {name} knows no {', '.join(lacking)}; use another"
            )
        network = get_model(name, weights=None, weights_backbone=None, num_classes=len(categories))
        _fill(network, load_tensors(weights, "detector"), weights)
        self._network, self._device = network.to(device), device
        self._kinds = torch.full((len(categories),), -1)
        for kind, word in enumerate(KINDS):
            self._kinds[categories.index(word)] = kind

    @torch.inference_mode()
    def detect(self, image: Tensor) -> Boxes:
        """(3, h, w) uint8 RGB to the boxes of KINDS in its pixels, best first, on the CPU."""
        found = self._network([image.to(self._device).float() / 255])[0]
        boxes = Boxes(
            found["boxes"].cpu(), found["scores"].cpu(), self._kinds[found["labels"].cpu()]
        )
        return boxes.at((boxes.kinds >= 0) & (boxes.scores >= LEAST_SCORE))


class Timed:
    """A detector and how long its last look took; what it finds does not depend on the clock."""

    def __init__(self, detector: Detector, clock: Clock) -> None:
        self.name = detector.name
        self.ms: float | None = None
        self._detector, self._clock = detector, clock

    def detect(self, image: Tensor) -> Boxes:
        """As the detector does."""
        start = self._clock()
        boxes = self._detector.detect(image)
        self.ms = 1000 * (self._clock() - start)
        return boxes


def build_detector(name: str, device: torch.device) -> Detector:
    """The detector of that name with its weights, frozen.

    Raises:
        ConfigError: for an unknown name, or weights that are missing or do not fit.
    """
    path = detector_file(name)
    if name == NANODET:
        return NanoDetector(path, device)
    return TorchvisionDetector(name, path, device)


def _fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        first = "; ".join(line.strip() for line in str(error).splitlines()[1:])[:200]
        raise ConfigError(f"detector weights {path} do not fit ({first})") from None
    network.eval().requires_grad_(False)
