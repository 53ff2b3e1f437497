"""Encoder inputs and radar encoders: shapes, channels, and that a spec rebuilds what it names."""

import json

import numpy as np
import pytest
import torch

from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.features import encoder_input, paper_input
from rvsense.learner.teacher import tensors_sha256

BOTH = ("magnitude", "motion")


def heatmaps(n: int, chirps: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Noise at CRUW's level: 0.0235 at the median of |x|."""
    rng = np.random.default_rng(0)
    return (0.02 * rng.standard_normal((n, chirps, 128, 128, 2))).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("chirps", [1, 4])
def test_input_has_a_sane_scale(dtype: type, chirps: int) -> None:
    """Both wire types and any number of chirps give finite channels of about unit scale."""
    x = encoder_input(heatmaps(2, chirps).astype(dtype), BOTH)
    assert x.shape == (2, 2, 128, 128)
    assert x.dtype == torch.float32
    assert abs(float(x[:, 0].mean())) < 1
    assert 0.2 < float(x[:, 0].std()) < 2


def test_still_scene_has_the_lowest_motion() -> None:
    """What is the same in all chirps cancels; what differs does not; one chirp is neutral."""
    frame = np.repeat(heatmaps(1, 1), 4, axis=1)
    frame[:, :, 40, 50] = 5.0  # a strong reflector that stands still
    frame[:, ::2, 80, 90, 0] = 1.0  # something that moves
    motion = encoder_input(frame, ("motion",))[0, 0]
    assert motion[40, 50] == motion.min()
    assert motion.argmax() == 80 * 128 + 90
    assert not encoder_input(frame[:, :1], ("motion",)).any()


@pytest.mark.parametrize("chirps", [1, 4, 16])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1)])
def test_huge_values_saturate(chirps: int, signs: tuple[int, int]) -> None:
    """What is finite but overflows in squares, sums or differences is as large as can be."""
    huge = np.full((1, chirps, 128, 128, 2), 3e38, np.float32)
    huge[:, : chirps // 2] *= signs[0]
    huge[:, chirps // 2 :] *= signs[1]
    large = np.full_like(huge, 1e9)
    x, most = encoder_input(huge, BOTH), encoder_input(large, ("magnitude",))
    assert torch.equal(x[:, :1], most)
    assert torch.isfinite(x).all()


def test_magnitude_is_of_chirp_0() -> None:
    """The other chirps, and the phase, do not enter the paper's input."""
    frame = heatmaps(1, 4)
    other = frame.copy()
    other[:, 1:] = 0
    other[:, 0] = np.stack([-frame[:, 0, ..., 1], frame[:, 0, ..., 0]], axis=-1)
    first, second = (encoder_input(x, ("magnitude",)) for x in (frame, other))
    assert torch.allclose(first, second, atol=1e-6)


def test_unknown_channel_is_named() -> None:
    """A channel that does not exist is an error, not a zero."""
    with pytest.raises(ValueError, match="phase"):
        encoder_input(heatmaps(1, 1), ("magnitude", "phase"))


def test_paper_input_is_replicated() -> None:
    """Three equal planes of 224 × 224."""
    x = paper_input(encoder_input(heatmaps(1, 1), ("magnitude",)))
    assert x.shape == (1, 3, 224, 224)
    assert torch.equal(x[:, 0], x[:, 2])


def test_spec_rebuilds_the_encoder() -> None:
    """Through JSON and back, the same seed gives the same weights and leaves other draws alone."""
    spec = EncoderSpec("residual", BOTH, 32, width=4)
    again = EncoderSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    before = torch.get_rng_state()
    first, second = build_encoder(spec, seed=5), build_encoder(again, seed=5)
    assert tensors_sha256(first.state_dict()) == tensors_sha256(second.state_dict())
    assert tensors_sha256(first.state_dict()) != tensors_sha256(
        build_encoder(spec, seed=6).state_dict()
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_residual_shapes() -> None:
    """Feature map, features and queries have the sizes that the spec and the encoder name."""
    encoder = build_encoder(EncoderSpec("residual", BOTH, 1280), seed=0).eval()
    with torch.inference_mode():
        x = encoder.prepare(heatmaps(2, 4))
        assert encoder.features(x).shape == (2, encoder.feature_dim)
        assert encoder(x).shape == (2, 1280)
        assert encoder.feature_map(x).ndim == 4
    backbone = sum(p.numel() for n, p in encoder.named_parameters() if "projection" not in n)
    assert 0.2e6 < backbone < 0.5e6


@pytest.mark.parametrize(
    "values",
    [
        {"name": "resnet", "channels": ["magnitude"], "key_dim": 4},
        {"name": "residual", "channels": ["magnitude"], "key_dim": 4, "depth": 3},
        {"name": "residual", "channels": ["magnitude"]},
    ],
)
def test_foreign_spec_is_refused(values: dict[str, object]) -> None:
    """A spec of another version is an error, not an encoder of some sort."""
    with pytest.raises((ValueError, TypeError)):
        EncoderSpec.from_dict(values)
