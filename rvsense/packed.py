"""The residual encoder on a CPU: weights laid out once, ReLU and sum within the convolutions.

Called through `nn.Conv2d`, oneDNN lays the weights of a convolution out anew on every frame, and
ReLU and the sum with the shortcut are passes of their own. `torch.compile` avoids both by these
same operators; they are used here directly, since it needs a C++ compiler where the daemon runs,
and half a minute of its time.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rvsense.encoders import RadarEncoder, ResidualBlock, ResidualEncoder
from rvsense.graphed import Pass

Size = tuple[int, ...]


def cpu_pass(encoder: RadarEncoder, frame: Tensor) -> Pass:
    """`encoder.feature_map` in eval mode, for any batch; faster where the encoder is `residual`.

    The operators are torch's own business. Where they are not there, or do something else, there
    is a RuntimeWarning and the plain pass.

    Args:
        encoder: folded, so that no normalisation is left behind a convolution.
        frame: (1, C, 128, 128), the size that weights are laid out for.
    """
    if not isinstance(encoder, ResidualEncoder):
        return encoder.feature_map
    try:
        packed = PackedResidual(encoder, frame)
        with torch.inference_mode():
            torch.testing.assert_close(
                packed(frame), encoder.feature_map(frame), rtol=1e-3, atol=1e-3, equal_nan=True
            )
    except (AssertionError, AttributeError, RuntimeError, TypeError) as error:
        warnings.warn(
            f"this torch cannot serve with packed weights ({error}); a frame takes a tenth longer",
            RuntimeWarning,
            stacklevel=2,
        )
        return encoder.feature_map
    return packed


class PackedResidual:
    """The feature map of a folded ResidualEncoder; equal up to rounding (1e-5 of the largest)."""

    @torch.inference_mode()
    def __init__(self, encoder: ResidualEncoder, frame: Tensor) -> None:
        self._pool: nn.Module = encoder.stem[0]
        size = tuple(self._pool(frame).shape)
        self._stem, size = _packed(encoder.stem[1], size)
        self._blocks: list[_Block] = []
        for block in encoder.stages:
            packed, size = _Block.of(block, size)
            self._blocks.append(packed)

    def __call__(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, D, rows, columns), channels_last."""
        y = self._stem(self._pool(x).contiguous(memory_format=torch.channels_last), "relu")
        for block in self._blocks:
            y = block(y)
        return y


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A convolution with packed weights, and the arguments that its operators take."""

    weight: Tensor
    rest: tuple[Tensor | None, list[int], list[int], list[int], int]

    def __call__(self, x: Tensor, then: str) -> Tensor:
        """`then` is `relu` or `none`."""
        operator = torch.ops.mkldnn._convolution_pointwise
        y: Tensor = operator(x, self.weight, *self.rest, then, [], "")
        return y

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """relu(convolution + other)."""
        operator = torch.ops.mkldnn._convolution_pointwise.binary
        y: Tensor = operator(x, other, self.weight, *self.rest, "add", 1.0, "relu", [], "")
        return y


@dataclass(frozen=True, slots=True)
class _Block:
    """A ResidualBlock."""

    first: _Convolution
    second: _Convolution
    shortcut: _Convolution | None

    @staticmethod
    def of(block: nn.Module, size: Size) -> "tuple[_Block, Size]":
        """The block for inputs of this size, and the size of what comes out."""
        assert isinstance(block, ResidualBlock)
        first, between = _packed(block.first, size)
        second, after = _packed(block.second, between)
        beside = block.shortcut
        shortcut = _packed(beside[0], size)[0] if isinstance(beside, nn.Sequential) else None
        return _Block(first, second, shortcut), after

    def __call__(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x, "none")
        return self.second.added(self.first(x, "relu"), shortcut)


def _packed(layer: nn.Module, size: Size) -> tuple[_Convolution, Size]:
    """The convolution for (n, channels, height, width), and the size of what comes out."""
    assert isinstance(layer, nn.Conv2d)
    padding = [int(side) for side in layer.padding]
    stride, dilation = list(layer.stride), list(layer.dilation)
    weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(
        layer.weight.to_mkldnn(), padding, stride, dilation, layer.groups, list(size)
    )
    after = tuple(layer(torch.zeros(size)).shape)
    return _Convolution(weight, (layer.bias, padding, stride, dilation, layer.groups)), after
