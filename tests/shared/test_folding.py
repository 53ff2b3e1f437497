"""What serves is the published network with its normalisation folded in."""

import copy
from typing import TypeVar

import pytest
import torch
from torch import nn

from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.folding import fold

EDGE = EncoderSpec("residual", ("magnitude", "motion"), 32, width=8)
SAME = 1e-5
Network = TypeVar("Network", bound=nn.Module)


@pytest.fixture
def lived() -> RadarEncoder:
    """An encoder whose normalisations have learned something, in eval mode."""
    encoder = build_encoder(EDGE, seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                assert tensor is not None
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
    return encoder.eval()


def folded(network: Network) -> Network:
    """A folded copy."""
    network = copy.deepcopy(network)
    fold(network)
    return network


@torch.inference_mode()
def test_the_answers_are_the_same_up_to_rounding(lived: RadarEncoder) -> None:
    """Feature maps, features and queries."""
    x = torch.randn(3, 2, 128, 128, generator=torch.Generator().manual_seed(2))
    fast = folded(lived)
    for name in ("feature_map", "features", "forward"):
        wanted, found = getattr(lived, name)(x), getattr(fast, name)(x)
        assert (found - wanted).abs().max() <= SAME * wanted.abs().max()


def test_no_normalisation_is_left(lived: RadarEncoder) -> None:
    """In the stem, in the blocks and beside them."""
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(lived).modules())


def test_nothing_is_copied() -> None:
    """Weights that no normalisation follows are the very ones: the paper's take half a gigabyte."""
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)).eval()
    before = list(plain.parameters())
    fold(plain)
    assert all(a is b for a, b in zip(before, plain.parameters(), strict=True))


def test_what_has_no_normalisation_stays(lived: RadarEncoder) -> None:
    """As the paper's network: the same layers, the same answers to the bit."""
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)).eval()
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(folded(plain)(x), plain(x))
