"""The map from raw teacher keys to those of the loss: frozen once, and short when asked."""

import pytest
import torch
from torch.nn import functional as F

from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.learner import keys
from rvsense.learner.keys import KeyScale
from rvsense.learner.queue import KeyQueue

CPU = torch.device("cpu")


def raw_keys(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Keys that are nearly parallel and vary along axes of very different lengths."""
    generator = torch.Generator().manual_seed(seed)
    return 5 + torch.randn(n, dim, generator=generator) * torch.logspace(0, -2, dim)


def fitted(scale: KeyScale, seen: torch.Tensor) -> KeyScale:
    """The scale after it has seen these keys."""
    for key in seen:
        scale.see(key)
    return scale


@pytest.mark.parametrize("standardise", [False, True])
def test_white_keys_are_white(standardise: bool) -> None:
    """Over the warm-up each axis has mean 0 and variance 1, and no two go together."""
    seen = raw_keys(keys.WARMUP_PAIRS, 32)
    scale = fitted(KeyScale(32, standardise=standardise, short=8, whiten=True), seen)
    short = (seen - seen.mean(dim=0)) @ scale.state()["axes"]
    assert short.shape == (keys.WARMUP_PAIRS, 8)
    assert torch.allclose(short.T @ short / len(short), torch.eye(8), atol=1e-3)
    assert torch.allclose(scale.unit(seen), F.normalize(short, dim=1), atol=1e-4)


def test_short_keys_keep_the_angles_of_centred_keys() -> None:
    """The axes are orthonormal; with as many as there are dimensions no angle changes."""
    seen = raw_keys(keys.WARMUP_PAIRS, 32)
    axes = fitted(KeyScale(32, standardise=False, short=8), seen).state()["axes"]
    assert torch.allclose(axes.T @ axes, torch.eye(8), atol=1e-5)
    unit = fitted(KeyScale(32, standardise=False, short=32), seen).unit(seen[:50])
    centred = F.normalize(seen[:50] - seen.mean(dim=0), dim=1)
    assert torch.allclose(unit @ unit.T, centred @ centred.T, atol=1e-4)


def test_axes_are_those_of_most_variance() -> None:
    """In raw keys the first axes vary most; standardised, none is preferred by its length."""
    seen = raw_keys(keys.WARMUP_PAIRS, 32)
    share = {}
    for standardise in (False, True):
        scale = fitted(KeyScale(32, standardise=standardise, short=4), seen)
        # How much a key's own dimensions count, each by as much as it varies.
        weight = (scale.state()["axes"] * seen.std(dim=0)[:, None]).square().sum(dim=1)
        share[standardise] = float(weight[:8].sum() / weight.sum())
    assert share[False] > 0.95
    assert share[True] < 0.7


def test_short_keys_wait_for_their_warm_up() -> None:
    """Until frozen there is no key; the freezing key says so, once; later keys change nothing."""
    seen = raw_keys(300, 200)
    scale = KeyScale(200, standardise=False, short=150)
    news = [scale.see(key) for key in raw_keys(600, 200, seed=1)]
    assert news == [False] * 599 + [True]  # four for each axis: more than WARMUP_PAIRS
    unit = scale.unit(seen)
    assert [scale.see(key) for key in seen] == [False] * 300
    assert torch.equal(scale.unit(seen), unit)
    waiting = KeyScale(200, standardise=False, short=150)
    assert not waiting.ready
    with pytest.raises(RuntimeError, match="warm-up"):
        waiting.unit(seen)


def test_a_still_scene_gives_finite_keys() -> None:
    """A warm-up of copies of three pictures has no variance along most axes."""
    seen = raw_keys(3, 64).repeat(171, 1)
    scale = fitted(KeyScale(64, standardise=False, short=16, whiten=True), seen)
    assert torch.isfinite(scale.unit(raw_keys(50, 64, seed=2))).all()


@pytest.mark.parametrize("count", [100, 512])
def test_state_continues_on_either_side_of_the_freezing(count: int) -> None:
    """A scale restored before or after it is frozen gives the same keys to the bit."""
    seen = raw_keys(600, 24)
    first = fitted(KeyScale(24, standardise=True, short=6), seen[:count])
    second = KeyScale(24, standardise=True, short=6)
    second.load({name: value.clone() for name, value in first.state().items()})
    for scale in (first, second):
        fitted(scale, seen[count:])
    assert torch.equal(first.unit(seen), second.unit(seen))
    assert "warmup" not in first.state()


def test_a_scale_that_is_turned_off_is_told() -> None:
    """Keys standardised before a restart and raw after it must not meet in one queue."""
    state = fitted(KeyScale(24, standardise=True), raw_keys(600, 24)).state()
    plain = KeyScale(24, standardise=False)
    fresh = plain.state()
    assert plain.load(state)
    assert not plain.load(fresh)
    assert not KeyScale(24, standardise=True).load(state)
    assert torch.equal(
        plain.unit(raw_keys(5, 24)), KeyScale(24, standardise=False).unit(raw_keys(5, 24))
    )


def test_more_axes_than_dimensions_are_refused() -> None:
    """There are no such axes."""
    with pytest.raises(ValueError, match="8 dimensions"):
        KeyScale(8, standardise=False, short=9)


def test_a_long_queue_of_short_keys_is_small() -> None:
    """65,536 keys of 128 take 33 MiB with stamps and places, a tenth of the keys as they are."""
    queue = KeyQueue(65_536, 128, CPU)
    held = (queue.keys, queue.stamps, queue.places)
    assert sum(tensor.untyped_storage().nbytes() for tensor in held) == 33 * 2**20
    spec = EncoderSpec("residual", ("magnitude",), 128, width=2)
    assert build_encoder(spec, seed=0).eval()(torch.zeros(1, 1, 128, 128)).shape == (1, 128)
