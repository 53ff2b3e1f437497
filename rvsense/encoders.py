"""The radar encoders f_θ: what the learner trains and the daemon serves.

`residual` is small and made for the radar's geometry: the 8 virtual antennas of CRUW resolve
no finer than 18 of the 128 azimuth columns, so columns are averaged by four before the first
convolution, while range, resolved to 1.5 rows, is kept. `vgg16` is the paper's.
Feature maps stay reachable for answers in space.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rvsense.features import encoder_input, paper_input

NAMES = ("residual", "vgg16")
VGG_FEATURES = 4096


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What must be known to build an encoder anew; travels in every manifest."""

    name: str
    channels: tuple[str, ...]
    key_dim: int
    width: int = 24
    """Channels of the first stage of `residual`; doubled at each of the next two."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self) | {"channels": list(self.channels)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "EncoderSpec":
        """The spec that `to_dict` described.

        Raises:
            KeyError, TypeError, ValueError: when it is none.
        """
        spec = EncoderSpec(**{**values, "channels": tuple(values["channels"])})
        if spec.name not in NAMES:
            raise ValueError(f"encoder {spec.name!r}: only {NAMES} exist")
        if any(type(size) is not int or size < 1 for size in (spec.key_dim, spec.width)):
            raise ValueError(f"an encoder of width {spec.width} with keys of {spec.key_dim}")
        return spec


class RadarEncoder(nn.Module):
    """What every radar encoder offers. Subclasses define `feature_map` and `features_of`."""

    def __init__(self, spec: EncoderSpec, feature_dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.feature_dim = feature_dim

    def prepare(self, heatmaps: Tensor | NDArray[np.floating[Any]]) -> Tensor:
        """(n, chirps, 128, 128, 2) heatmaps to the (n, C, 128, 128) input of this encoder."""
        return encoder_input(heatmaps, self.spec.channels)

    def feature_map(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, D, rows, columns), before pooling over space."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to the (n, F) that the linear head sees."""
        return self.features_of(self.feature_map(x))

    def features_of(self, maps: Tensor) -> Tensor:
        """(n, D, rows, columns) feature maps to the (n, F) that the linear head sees."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, key_dim) queries, not yet normalised."""
        raise NotImplementedError


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first: nn.Module = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm: nn.Module = nn.BatchNorm2d(outputs)
        self.second: nn.Module = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm: nn.Module = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        y = F.relu(self.first_norm(self.first(x)), inplace=True)
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x), inplace=True)


class ResidualEncoder(RadarEncoder):
    """A compact residual network (He et al., 1512.03385), about 0.3 M parameters below the key.

    Features are mean and maximum over space: the mean tells how much of a pattern there is,
    the maximum whether one small object shows it anywhere.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        w = spec.width
        super().__init__(spec, feature_dim=8 * w)
        self.stem = nn.Sequential(
            nn.AvgPool2d((1, 4)),
            nn.Conv2d(len(spec.channels), w, 5, 2, 2, bias=False),
            nn.BatchNorm2d(w),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(
            ResidualBlock(w, w, 1),
            ResidualBlock(w, 2 * w, 2),
            ResidualBlock(2 * w, 4 * w, 2),
            ResidualBlock(4 * w, 4 * w, 1),
        )
        self.projection = nn.Linear(self.feature_dim, spec.key_dim)

    def feature_map(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, 4 width, 16, 4)."""
        # Averaged as it comes, which is faster; the weights' channels_last rules from there on.
        y: Tensor = self.stages(self.stem(x))
        return y

    def features_of(self, maps: Tensor) -> Tensor:
        """(n, 4 width, 16, 4) to (n, 8 width): spatial means, then maxima."""
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, key_dim)."""
        q: Tensor = self.projection(self.features(x))
        return q


class Vgg16Encoder(RadarEncoder):
    """The paper's radar branch: VGG-16 cut at `classifier[:4]`; its features are its queries."""

    def __init__(self, spec: EncoderSpec) -> None:
        if spec.key_dim != VGG_FEATURES:
            raise ValueError(f"vgg16 gives {VGG_FEATURES}-d queries, the keys have {spec.key_dim}")
        if spec.channels != ("magnitude",):
            raise ValueError(f"vgg16 takes the magnitude alone, not {spec.channels}")
        super().__init__(spec, feature_dim=VGG_FEATURES)
        from torchvision.models import vgg16

        # Built without values of its own: the caller initialises, from ImageNet as a rule.
        whole = vgg16(weights=None, init_weights=False)
        self.trunk = whole.features
        self.classifier = whole.classifier[:4]

    def feature_map(self, x: Tensor) -> Tensor:
        """(n, 1, 128, 128) to (n, 512, 7, 7)."""
        y: Tensor = self.trunk(paper_input(x))
        return y

    def features_of(self, maps: Tensor) -> Tensor:
        """(n, 512, 7, 7) to (n, 4096), before the second ReLU."""
        y: Tensor = self.classifier(maps.flatten(1))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 128, 128) to (n, 4096)."""
        return self.features(x)


def build_encoder(spec: EncoderSpec, *, seed: int) -> RadarEncoder:
    """An encoder with freshly drawn weights; the same seed gives the same weights.

    Raises:
        ValueError: when the spec describes no encoder.
    """
    # Layers draw from the process-wide generator; leave that as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if spec.name == "residual":
            return ResidualEncoder(spec).to(memory_format=torch.channels_last)
        if spec.name == "vgg16":
            return Vgg16Encoder(spec)
    raise ValueError(f"encoder {spec.name!r}: only {NAMES} exist")
