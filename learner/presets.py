"""The two presets: which teacher, which radar encoder, which decay."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ConfigError
from rvsense.learner import schedule
from rvsense.learner.teacher import (
    Teacher,
    edge_teacher,
    load_tensors,
    paper_teacher,
)
from rvsense.machine import RANDOM, teacher_file


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


PRESETS = {
    "edge": Preset("edge", ("magnitude", "motion"), "residual", edge_teacher, "sqrt", True),
    "paper": Preset("paper", ("magnitude",), "vgg16", paper_teacher, "cosine", False),
}


def initial_encoder(preset: Preset, teacher: Teacher, *, seed: int, weights: str) -> RadarEncoder:
    """The radar encoder before the first step: drawn (edge), or ImageNet's VGG-16 (paper).

    Raises:
        ConfigError: when the weights it starts from are missing or do not fit.
    """
    spec = EncoderSpec(preset.encoder, preset.channels, teacher.key_dim)
    encoder = build_encoder(spec, seed=seed)
    if preset.encoder != "vgg16" or weights == RANDOM:
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
