"""The two presets: which teacher, which radar encoder, which decay."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ConfigError
from rvsense.learner import schedule
from rvsense.learner.augment import Augmentation
from rvsense.learner.teacher import Teacher, edge_teacher, load_tensors, paper_teacher
from rvsense.machine import RANDOM, PresetName, teacher_file

VGG = "vgg16"


@dataclass(frozen=True, slots=True)
class Preset:
    """What distinguishes `edge` from `paper`; all other numbers are settings."""

    name: str
    channels: tuple[str, ...]
    encoder: str
    teacher: Callable[[str, torch.device], Teacher]
    decay: schedule.Shape
    augments: bool
    """The paper describes no augmentation of the heatmaps."""
    background: str
    negatives: str
    learning_rate: float
    """What the settings of these names mean where they leave the choice to the preset."""


PRESETS = {
    "edge": Preset(
        "edge",
        ("magnitude", "motion"),
        "residual",
        edge_teacher,
        "sqrt",
        augments=True,
        background="removed",
        negatives="site",
        learning_rate=0.2,
    ),
    "paper": Preset(
        "paper",
        ("magnitude",),
        VGG,
        paper_teacher,
        "cosine",
        augments=False,
        background="kept",
        negatives="all",
        learning_rate=0.03,
    ),
}


def preset_of(learning: Learning, name: PresetName) -> Preset:
    """The preset with the inputs that the settings ask for.

    Raises:
        ConfigError: when the preset's encoder cannot take them.
    """
    preset = PRESETS[name]
    channels = tuple(learning.inputs.split("+"))
    if not learning.inputs or channels == preset.channels:
        return preset
    if preset.encoder == VGG:
        raise ConfigError(
            f"learning.inputs = {learning.inputs}: preset {name} takes "
            f"{'+'.join(preset.channels)} alone, as the paper does; use preset edge"
        )
    return replace(preset, channels=channels)


def settled(learning: Learning, preset: Preset) -> Learning:
    """The settings with the preset's own where they leave the choice to it."""
    return replace(
        learning,
        background=learning.background or preset.background,
        negatives=learning.negatives or preset.negatives,
        learning_rate=rate_of(learning, preset),
    )


def rate_of(learning: Learning, preset: Preset) -> float:
    """The step size of SGD."""
    return preset.learning_rate if learning.learning_rate is None else learning.learning_rate


def augmentation_of(learning: Learning, preset: Preset) -> Augmentation | None:
    """How inputs are changed in training; None where they are not.

    Raises:
        ConfigError: when the objective needs two views and there is only one.
    """
    if learning.augment and preset.augments:
        return Augmentation(range_mask=learning.mask_rows, azimuth_mask=learning.mask_columns)
    if learning.intra_modal:
        raise ConfigError(
            f"learning.intra_modal needs two views of a heatmap, and preset {preset.name} "
            f"with learning.augment = {str(learning.augment).lower()} has one; use preset edge "
            "with augment = true, or intra_modal = 0"
        )
    return None


def initial_encoder(
    preset: Preset, key_dim: int, *, seed: int, weights: str, short_keys: int = 0
) -> RadarEncoder:
    """The radar encoder before the first step: drawn (edge), or ImageNet's VGG-16 (paper).

    `key_dim` is the teacher's.

    Raises:
        ConfigError: when the weights it starts from are missing or do not fit, or its queries
            cannot be as short as the keys.
    """
    if short_keys and preset.encoder == VGG:
        raise ConfigError(
            f"learning.short_keys = {short_keys}: the queries of preset {preset.name} are its "
            "4096 features, as in the paper; use preset edge, or short_keys = 0"
        )
    if short_keys > key_dim:
        raise ConfigError(
            f"learning.short_keys = {short_keys}: the teacher's keys have {key_dim} dimensions; "
            "allowed: up to that"
        )
    spec = EncoderSpec(preset.encoder, preset.channels, short_keys or key_dim)
    encoder = build_encoder(spec, seed=seed)
    if preset.encoder != VGG or weights == RANDOM:
        return encoder
    path = teacher_file("paper", weights)
    assert path is not None
    named = {
        name.replace("features.", "trunk.", 1): value for name, value in load_tensors(path).items()
    }
    try:
        encoder.load_state_dict({name: named[name] for name in encoder.state_dict()}, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ConfigError(f"{path}: not the weights of torchvision's VGG-16 ({error})") from None
    return encoder
