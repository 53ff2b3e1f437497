"""Batch normalisation over the rows of all ranks; torch's own SyncBatchNorm needs CUDA.

Has the names, values and evaluation of `nn.BatchNorm2d`, so that what it learns is published
and served as that. Mean first, then squared deviations from it: the shorter way, E x² - (E x)²,
loses the digits that two ranks must share with one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rvsense.learner.collectives import CALLS


class _SumOverRanks(torch.autograd.Function):
    """A value that all ranks use gets its gradients from all of them."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        CALLS.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        CALLS.all_reduce(total)
        return total


def _sum_over_ranks(values: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(values)
    return total


class SynchronousBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch is that of the default process group."""

    @classmethod
    def over(cls, norm: nn.BatchNorm2d) -> "SynchronousBatchNorm2d":
        """The same layer, holding the very parameters and buffers of `norm`."""
        new = cls(norm.num_features, norm.eps, norm.momentum)
        new.weight, new.bias = norm.weight, norm.bias
        new.running_mean, new.running_var = norm.running_mean, norm.running_var
        new.num_batches_tracked = norm.num_batches_tracked
        return new

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) of this rank to the same shape; n may differ between ranks."""
        if not self.training:
            return super().forward(x)
        given = x.dtype
        if given in (torch.bfloat16, torch.float16):
            x = x.float()  # as torch's own does: sums over a batch need more digits
        rows = x.new_tensor([x.numel() / self.num_features])
        total = _sum_over_ranks(torch.cat([x.sum(dim=(0, 2, 3)), rows]))
        count = total[-1].detach()
        deviations = x - _by_channel(total[:-1] / count)
        variance = _sum_over_ranks(deviations.square().sum(dim=(0, 2, 3))) / count
        self._follow((total[:-1] / count).detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (deviations * _by_channel(scale) + _by_channel(self.bias)).to(given)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def synchronise(module: nn.Module) -> None:
    """Replace every `nn.BatchNorm2d` inside, in place; optimisers keep their parameters."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, SynchronousBatchNorm2d.over(child))
        else:
            synchronise(child)


def _by_channel(values: Tensor) -> Tensor:
    return values[:, None, None]
