"""InfoNCE, Eq. (1) of the paper."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Contrast(NamedTuple):
    """The loss with what diagnostics need: (n, 1 + K) logits, column 0 the positive."""

    loss: Tensor
    logits: Tensor


def info_nce(
    q: Tensor, k_positive: Tensor, k_negative: Tensor, admissible: Tensor, temperature: float
) -> Contrast:
    """Mean over the batch of -log softmax of the positive among the admissible keys.

    Shapes: `q`, `k_positive` (n, D) and `k_negative` (K, D), all of unit length;
    `admissible` (n, K). A query without any negative adds a loss of zero.
    """
    l_positive = (q * k_positive).sum(dim=1, keepdim=True)  # (n, 1)
    l_negative = (q @ k_negative.T).masked_fill(~admissible, -torch.inf)  # (n, K)
    logits = torch.cat([l_positive, l_negative], dim=1) / temperature  # (n, 1 + K)
    return Contrast(-F.log_softmax(logits, dim=1)[:, 0].mean(), logits)
