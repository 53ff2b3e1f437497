"""A CPU's short cuts against the formulas in torch that they stand for."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.features import encoder_input, squared_magnitude
from rvsense.folding import fold
from rvsense.head import HeadFit
from rvsense.learner.familiarfit import fit_familiarity
from rvsense.model import ServableModel
from rvsense.on_cpu import CpuAnswers, Head, Preparation
from rvsense.on_device import DeviceAnswers, Numbers
from rvsense.packed import PackedResidual, cpu_pass

CPU = torch.device("cpu")
BOTH = ("magnitude", "motion")
SPEC = EncoderSpec("residual", BOTH, 16, width=8)
FEATURES = 64
Heatmap = NDArray[np.floating[Any]]


def heatmap(seed: int, chirps: int = 4, size: float = 0.02) -> Heatmap:
    """Noise; by default at CRUW's level."""
    drawn = np.random.default_rng(seed).standard_normal((chirps, 128, 128, 2))
    return (size * drawn).astype(np.float32)


@pytest.mark.parametrize("channels", [BOTH, ("motion", "magnitude"), ("magnitude",), ("motion",)])
@pytest.mark.parametrize("chirps", [1, 2, 4, 16])
def test_prepared_frames_are_the_encoder_s_inputs(chirps: int, channels: tuple[str, ...]) -> None:
    """For both wire types, faint and strong frames, each among others as if alone."""
    frames = [heatmap(0, chirps), heatmap(1, chirps, 1e-5), heatmap(2, chirps, 300.0)]
    frames.append(frames[0].astype(np.float16))
    inputs, power = Preparation(channels)(frames)
    for frame, found, squared in zip(frames, inputs, power, strict=True):
        wanted = encoder_input(frame[None].astype(np.float32), channels)[0].numpy()
        assert np.allclose(found, wanted, atol=1e-5)
        assert np.allclose(squared, np.square(frame[0].astype(float)).sum(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("chirps", [1, 3, 4])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1)])
def test_huge_values_saturate_without_a_warning(chirps: int, signs: tuple[int, int]) -> None:
    """What overflows in squares, sums or differences is as large as can be, never NaN."""
    frame = np.full((chirps, 128, 128, 2), 3e38, np.float32)
    frame[: chirps // 2] *= signs[0]
    frame[chirps // 2 :] *= signs[1]
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        inputs, power = Preparation(BOTH)([frame])
    wanted = encoder_input(frame[None], BOTH)
    assert np.allclose(inputs, wanted.numpy(), atol=1e-5)
    assert np.allclose(power, squared_magnitude(wanted, BOTH).numpy(), rtol=1e-4)


def drawn_head(known: int) -> HeadFit:
    """A calibrated head that has seen `known` directions; 0 = it does not say."""
    rng = torch.Generator().manual_seed(known)
    return HeadFit(
        weight=torch.randn(4, FEATURES, generator=rng),
        bias=torch.randn(4, generator=rng),
        mean=torch.randn(FEATURES, generator=rng),
        std=torch.rand(FEATURES, generator=rng) + 0.5,
        temperature=1.7,
        known=torch.randn(known, FEATURES, generator=rng) / 20 if known else None,
        doubt=0.3,
    )


@pytest.mark.parametrize("known", [0, 1, 30])
def test_probabilities_are_the_head_s(known: int) -> None:
    """With and without doubt, for certain and uncertain rows."""
    head = drawn_head(known)
    features = torch.randn(7, FEATURES, generator=torch.Generator().manual_seed(9))
    found = Head(head).probabilities(features.numpy())
    assert np.allclose(found, head.probabilities(features).numpy(), atol=1e-6)


@pytest.fixture
def encoder() -> RadarEncoder:
    """Folded, in eval mode."""
    encoder = build_encoder(SPEC, seed=0).eval()
    fold(encoder)
    return encoder


Answering = Callable[..., list[Numbers]]


@pytest.fixture
@torch.inference_mode()
def both(encoder: RadarEncoder) -> tuple[Answering, Answering]:
    """On a CPU, and on any device: the same model."""
    rng = torch.Generator().manual_seed(3)
    levels = torch.rand(60, 1, 1, 1, 1, generator=rng) / 10 + 0.01
    x = encoder.prepare(levels * torch.randn(60, 4, 128, 128, 2, generator=rng))
    maps, power = encoder.feature_map(x), squared_magnitude(x, BOTH)
    familiarity = fit_familiarity((maps[:40], power[:40]), (maps[40:], power[40:]), None)
    head = drawn_head(30)
    return (
        CpuAnswers(encoder, cpu_pass(encoder, x[:1]), head, familiarity, x[:1]),
        DeviceAnswers(encoder, encoder.feature_map, head, familiarity, lambda _, host: host),
    )


@torch.inference_mode()
def test_answers_are_those_of_any_device(both: tuple[Answering, Answering]) -> None:
    """Probabilities and scores of familiar, strange and empty frames of several sizes."""
    frames = [heatmap(1), heatmap(2, 1), heatmap(3, 4, 5.0), 0 * heatmap(4), heatmap(5, 2)]
    on_cpu, on_device = both
    scores = []
    for here, there in zip(on_cpu(frames), on_device(frames), strict=True):
        assert here[0] == pytest.approx(there[0], abs=1e-5)
        assert here[1] == pytest.approx(there[1], rel=1e-4, abs=1e-4)
        scores.append(here[1])
    assert len(set(scores)) == len(frames)


@torch.inference_mode()
def test_the_packed_network_is_the_encoder_s(encoder: RadarEncoder) -> None:
    """Alone and in a batch, up to rounding."""
    x = torch.randn(3, 2, 128, 128, generator=torch.Generator().manual_seed(2))
    packed = cpu_pass(encoder, x[:1])
    assert isinstance(packed, PackedResidual)
    for batch in (x, x[:1]):
        wanted = encoder.feature_map(batch)
        assert (packed(batch) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("trouble", ["gone", "something else"])
def test_a_torch_of_other_operators_passes_plainly_and_loudly(
    trouble: str, encoder: RadarEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are torch's own business: the daemon serves without them, and says so."""
    if trouble == "gone":
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    else:
        monkeypatch.setattr(PackedResidual, "__call__", lambda _, x: encoder.feature_map(x) + 1)
    with pytest.warns(RuntimeWarning, match="packed"):
        assert cpu_pass(encoder, torch.zeros(1, 2, 128, 128)) == encoder.feature_map


def test_a_frame_that_nobody_may_change_is_answered_and_left_alone(
    tmp_path: Path, make_model: Callable[..., Any]
) -> None:
    """The daemon's frames are read-only views of what came in: no copy, no warning, no write."""
    model = ServableModel(make_model(tmp_path), CPU)
    frame = heatmap(0)
    frame.flags.writeable = False
    before = frame.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.classify([frame]) == model.classify([frame.copy()])
    assert frame.tobytes() == before
