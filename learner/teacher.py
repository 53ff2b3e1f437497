"""The frozen vision teacher g_vision: image in, key k⁺ out, once per image (L1, L2).

Always in eval mode, without gradients, and its digest before learning equals the one after.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rvsense.errors import ConfigError
from rvsense.learner import images, lite0
from rvsense.machine import RANDOM, teacher_file

VGG_DIM = 4096
# ImageNet mean and deviation in 0..255, as torchvision's VGG-16 was trained.
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A frozen network with its preprocessing. `weights` says where its values came from."""

    network: nn.Module
    preprocess: Callable[[Tensor], Tensor]
    key_dim: int
    name: str
    weights: str
    device: torch.device

    def encode(self, codec: str, image: bytes, shape: tuple[int, int, int] | None) -> Tensor:
        """One camera payload to its (key_dim,) float32 key on the CPU.

        Raises:
            FrameError: `bad_image`.
        """
        return self.key_of(images.decode_image(codec, image, shape))

    @torch.inference_mode()
    def key_of(self, image: Tensor) -> Tensor:
        """One decoded (3, h, w) uint8 RGB image to its (key_dim,) float32 key on the CPU.

        One at a time: a batch put together by what happened to have arrived would make the
        last bits of a key depend on timing.
        """
        small = images.squash(image)
        key: Tensor = self.network(self.preprocess(small[None].to(self.device)))[0]
        return key.float().cpu()

    def sha256(self) -> str:
        """Digest of every parameter and buffer."""
        return tensors_sha256(self.network.state_dict())


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def edge_teacher(weights: str, device: torch.device) -> Teacher:
    """EfficientNet-Lite0, 1280-d keys; ImageNet weights from the installed package by default.

    Raises:
        ConfigError: when the weights are missing or do not fit.
    """
    network = _empty(lite0.Lite0)
    path = teacher_file("edge", weights)
    _fill(network, path, preset="edge")
    return Teacher(
        network=_frozen(network, device),
        preprocess=lite0.preprocess,
        key_dim=lite0.KEY_DIM,
        name="efficientnet-lite0",
        weights=_origin(path),
        device=device,
    )


def paper_teacher(weights: str, device: torch.device) -> Teacher:
    """VGG-16 cut at `classifier[:4]`, 4096-d keys before the second ReLU (paper, IV-C).

    Raises:
        ConfigError: when the weights are missing or do not fit.
    """
    network = _empty(VggSlice)
    path = teacher_file("paper", weights)
    _fill(network, path, preset="paper")
    return Teacher(
        network=_frozen(network, device),
        preprocess=_imagenet,
        key_dim=VGG_DIM,
        name="vgg16",
        weights=_origin(path),
        device=device,
    )


class VggSlice(nn.Module):
    """torchvision's VGG-16 up to the fourth layer of its classifier, under torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg16

        whole = vgg16(weights=None, init_weights=False)
        self.features = whole.features
        self.classifier = whole.classifier[:4]

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 224, 224) to (n, 4096)."""
        y: Tensor = self.classifier(self.features(x).flatten(1))
        return y


def load_tensors(path: Path, of: str = "teacher") -> dict[str, Tensor]:
    """Tensors of a `.pth` or `.safetensors` file, never running code from it.

    Raises:
        ConfigError: naming the file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        tensors: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"{of} weights {path}: not readable ({error})") from None
    if not isinstance(tensors, dict):
        raise ConfigError(f"{of} weights {path}: not a file of named tensors")
    return tensors


def _empty(build: Callable[[], nn.Module]) -> nn.Module:
    # A fixed seed, so that `random` is the same teacher in every run of a test.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def _fill(network: nn.Module, path: Path | None, *, preset: str) -> None:
    if path is None:
        return
    tensors = load_tensors(path)
    if isinstance(network, VggSlice):  # the file also holds the layers that were cut off
        tensors = {name: tensors[name] for name in network.state_dict() if name in tensors}
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ConfigError(
            f"teacher weights {path} do not fit the {preset} teacher ({error})"
        ) from None


def _frozen(network: nn.Module, device: torch.device) -> nn.Module:
    frozen = network.eval().requires_grad_(False).to(device)
    return frozen.to(memory_format=torch.channels_last)


def _origin(path: Path | None) -> str:
    return RANDOM if path is None else path.name


def _imagenet(images_u8: Tensor) -> Tensor:
    mean = torch.tensor(_IMAGENET_MEAN, device=images_u8.device)[:, None, None]
    std = torch.tensor(_IMAGENET_STD, device=images_u8.device)[:, None, None]
    return ((images_u8.float() - mean) / std).contiguous(memory_format=torch.channels_last)
