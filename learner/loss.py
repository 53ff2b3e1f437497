"""The losses over queries and keys. Pure functions of tensors.

Eq. (1) of the paper, and what the settings may put beside it. All start from the logits of
`similarity`, in which a key that is no negative has -inf and so no share in any sum.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Contrast(NamedTuple):
    """The loss with what diagnostics need: (n, 1 + K) logits, column 0 the positive."""

    loss: Tensor
    logits: Tensor


def similarity(
    q: Tensor, k_positive: Tensor, k_negative: Tensor, admissible: Tensor, temperature: float
) -> Tensor:
    """(n, 1 + K) cosines over the temperature: column 0 the positive, -inf what is no negative.

    Shapes: `q`, `k_positive` (n, D) and `k_negative` (K, D), all of unit length;
    `admissible` (n, K). The products with the negatives are taken in the precision of
    `k_negative`, all else in that of `q`.
    """
    # The temperature goes to the queries: with K = 65,536 each pass over the logits counts.
    q = q / temperature
    l_positive = (q * k_positive).sum(dim=1, keepdim=True)  # (n, 1)
    l_negative = q.to(k_negative.dtype) @ k_negative.T  # (n, K)
    with torch.no_grad():  # no loss has a gradient at -inf: one pass less over it going back
        l_negative.masked_fill_(~admissible, -torch.inf)
    return torch.cat([l_positive, l_negative], dim=1)  # in the precision of `q`


def equation_1(logits: Tensor) -> Tensor:
    """Mean over the batch of -log softmax of the positive; 0 for a query without negatives."""
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


def info_nce(
    q: Tensor, k_positive: Tensor, k_negative: Tensor, admissible: Tensor, temperature: float
) -> Contrast:
    """Eq. (1) from queries and keys; shapes as in `similarity`."""
    logits = similarity(q, k_positive, k_negative, admissible, temperature)
    return Contrast(equation_1(logits), logits)


def decoupled(logits: Tensor) -> Tensor:
    """Eq. (1) without the positive in the denominator (DCL, Yeh et al., 2110.06848).

    Has no lower bound of 0, and bounds no mutual information. A query without any negative
    adds 0.
    """
    negatives = logits[:, 1:]
    alone = torch.isinf(negatives).all(dim=1)
    # The log of an empty sum is -inf with a gradient of NaN: such a row is filled before.
    denominator = torch.logsumexp(negatives.masked_fill(alone[:, None], 0.0), dim=1)
    return (denominator - logits[:, 0]).masked_fill(alone, 0.0).mean()


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the batch of -Σ target · log softmax(logits).

    Shapes (n, 1 + K) both; a target is 0 wherever the logit is -inf (see `soft_targets`).
    """
    log_p = F.log_softmax(logits, dim=1)
    return -(targets * log_p.masked_fill(torch.isinf(logits), 0.0)).sum(dim=1).mean()


def soft_targets(
    k_positive: Tensor, k_negative: Tensor, admissible: Tensor, temperature: float
) -> Tensor:
    """(n, 1 + K) shares of each key in what the positive shows, by the teacher's own measure.

    The softmax of key-key similarity over the positive itself and all admissible keys, as in
    SEED (Fang et al., 2101.04731); CO2 (2010.02217) leaves the positive out. The teacher is
    frozen, so the targets of a pair and its negatives never move.
    """
    return similarity(k_positive, k_positive, k_negative, admissible, temperature).softmax(dim=1)


def intra_modal(q: Tensor, other: Tensor, near: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., 2002.05709, Eq. 1) between two views of the same n inputs.

    The negatives of a query are both views of the other inputs of the batch, but for those
    that are `near` it (n, n), of the same place within the exclusion window.
    `q` and `other` are (n, D) of unit length. Without any negative the loss is 0.
    """
    positives = (q * other).sum(dim=1).repeat(2)[:, None]  # (2n, 1)
    both = torch.cat([q, other])  # (2n, D)
    own = torch.eye(len(q), dtype=torch.bool, device=q.device)
    barred = (near | own).repeat(2, 2)  # (2n, 2n)
    negatives = (both @ both.T).masked_fill(barred, -torch.inf)
    return equation_1(torch.cat([positives, negatives], dim=1) / temperature)
