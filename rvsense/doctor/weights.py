"""Weights that rvsense starts from: are they here, are they whole. Nothing is ever fetched."""

import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rvsense import atomic
from rvsense.config import Config
from rvsense.doctor.findings import Finding, Standing
from rvsense.errors import ConfigError
from rvsense.machine import (
    NANODET,
    PresetName,
    detector_file,
    pick_device,
    preset_name,
    teacher_file,
    uses_detector,
)

DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")
"""torch.hub's way to name a file by the beginning of its SHA-256."""


def teachers(config: Config) -> Iterator[Finding]:
    """Both presets' teachers; only the one that would be used must be there."""
    used = preset_name(config.learning, pick_device(config.learning.device, "learning.device"))
    presets: tuple[PresetName, ...] = ("edge", "paper")
    for preset in presets:
        about = f"teacher {preset}"
        mine = preset == used
        try:
            path = teacher_file(preset, config.learning.teacher_weights if mine else "")
        except ConfigError as error:
            needed = mine and config.learn and not config.learner
            text, _, remedy = str(error).partition(". ")
            standing: Standing = "bad" if needed else "note"
            yield Finding(about, standing, text, remedy, {"used": mine})
            continue
        if path is None:
            yield Finding(about, "warn", "random: for tests only, it teaches nothing")
            continue
        standing, text = _checked(path)
        yield Finding(about, standing, text, facts={"path": str(path), "used": mine})


def detector(config: Config) -> Iterator[Finding]:
    """The object detector that stands in for annotators."""
    try:
        path = detector_file(config.learning.detector)
        if config.learning.detector == NANODET:
            with safe_open(path, framework="pt") as file:
                count = len(list(file.keys()))
            yield Finding("detector", "good", f"nanodet, bundled, {count} tensors")
            return
        standing, text = _checked(path)
        yield Finding("detector", standing, text, facts={"path": str(path)})
    except (ConfigError, SafetensorError, OSError) as error:
        needed = uses_detector(config.learning)
        yield Finding("detector", "bad" if needed else "note", str(error))


def _checked(path: Path) -> tuple[Standing, str]:
    name = DIGEST_IN_NAME.search(path.name)
    if name is None:
        return "good", f"{path}, whose name tells no checksum"
    if atomic.sha256_of(path).startswith(name[1]):
        return "good", f"{path.name}, checksum right"
    return "bad", f"{path}: does not match the checksum in its name; fetch it again"
