"""Builders that several test folders share: radar frames and small published models."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from numpy.typing import NDArray

from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.familiar import BEAM_NUMBERS, Familiarity, Yardstick
from rvsense.frames import RadarFrame
from rvsense.head import HeadFit
from rvsense.published import PublishedModel, publish

SPEC = EncoderSpec("residual", ("magnitude", "motion"), key_dim=8, width=4)
FEATURES = 8 * SPEC.width


def heatmap(seed: int = 0, chirps: int = 1) -> NDArray[np.float32]:
    """Noise of about a CRUW frame's level."""
    values = np.random.default_rng(seed).standard_normal((chirps, 128, 128, 2))
    return (0.03 * values).astype(np.float32)


def familiarity(seed: int, scale: float) -> Familiarity:
    """A sense of the familiar that knows nothing of real frames, for the narrow encoder."""
    generator = torch.Generator().manual_seed(seed)
    places = 4 * SPEC.width * 16 * 4
    reference = torch.nn.functional.normalize(torch.randn(12, 6, generator=generator), dim=1)
    return Familiarity(
        map_mean=torch.zeros(places),
        map_basis=torch.randn(places, 6, generator=generator),
        reference=reference,
        beam_mean=torch.zeros(BEAM_NUMBERS),
        beam_whitening=torch.eye(BEAM_NUMBERS),
        place=Yardstick(0.0, 1.0),
        beam=Yardstick(0.0, 100.0),
        scale=scale,
    )


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is set up per process: a test that runs a command in this one leaves no trace."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def make_radar() -> Callable[..., RadarFrame]:
    """`make_radar(seq, **changes)`: a radar frame at 30 a second; all share one heatmap."""
    values = heatmap()

    def make(seq: int, **changes: Any) -> RadarFrame:
        frame = RadarFrame(site="east", seq=seq, stamp_ns=seq * 33_333_333, heatmap=values)
        return replace(frame, **changes)

    return make


@pytest.fixture(scope="session")
def make_heatmap() -> Callable[..., NDArray[np.float32]]:
    """`make_heatmap(seed, chirps)`: noise."""
    return heatmap


def publish_small(
    models_dir: Path,
    step: int = 1,
    *,
    favours: int | None = 0,
    familiar: bool = True,
    scale: float = 0.8,
    head: HeadFit | None = None,
    spoil: Callable[[dict[str, torch.Tensor]], None] = lambda _: None,
    **manifest: Any,
) -> PublishedModel:
    """Publish a narrow encoder with a head.

    `favours` is the index of the class that the head answers for everything; None = no head.
    `scale` is the familiarity's: the smaller, the stranger every frame.
    `spoil` changes the tensors of the encoder before they are written.
    """
    weights = build_encoder(SPEC, seed=step).state_dict()
    spoil(weights)
    if head is None and favours is not None:
        bias = 4.0 * torch.nn.functional.one_hot(torch.tensor(favours), 4).float()
        flat = torch.zeros(FEATURES)
        head = HeadFit(torch.zeros(4, FEATURES), bias, flat, flat + 1)
    return publish(
        models_dir,
        weights=weights,
        head=head,
        familiarity=familiarity(step, scale) if familiar else None,
        manifest={"step": step, "created_ns": 17, "encoder": SPEC.to_dict()} | manifest,
    )


@pytest.fixture(scope="session")
def make_model() -> Callable[..., PublishedModel]:
    """`make_model(models_dir, step, favours=...)`: see `publish_small`."""
    torch.set_num_threads(1)

    return publish_small
