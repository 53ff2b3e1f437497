"""Normalisation folded into the convolutions before it: the same answers in fewer passes.

In eval mode batch normalisation is a fixed scale and shift of each channel, which a convolution
can have in its own weights. This is done in place, to the network that serves and was made for
that; published weights, their digests and the network that is trained stay as they are.
"""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rvsense.encoders import ResidualBlock


def fold(network: nn.Module) -> None:
    """Fold `network`, which is in eval mode; its output stays the same up to rounding (1e-5)."""
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.first, module.first_norm = _merged(module.first, module.first_norm)
            module.second, module.second_norm = _merged(module.second, module.second_norm)
        elif isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                module[i], module[i + 1] = _merged(module[i], module[i + 1])


def _merged(first: nn.Module, second: nn.Module) -> tuple[nn.Module, nn.Module]:
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        return fuse_conv_bn_eval(first, second), nn.Identity()
    return first, second
