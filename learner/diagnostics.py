"""Signs of health that need no label. Pure functions over tensors.

Of these, held-out retrieval and RankMe tell a broken run from a healthy one; the loss alone
does not.
"""

import math

import torch
from torch import Tensor

NEAR_DUPLICATE = 0.95
"""Cosine of two teacher keys above which they show the same scene."""


def negatives_per_query(logits: Tensor) -> float:
    """Mean number of admissible negatives in (n, 1 + K) logits."""
    return float(torch.isfinite(logits[:, 1:]).sum(dim=1).float().mean())


def mi_bound(loss: float, negatives: float) -> float:
    """I(q; k) >= log(K + 1) - L in nats (van den Oord et al., 1807.03748), K the effective."""
    return mi_ceiling(negatives) - loss


def mi_ceiling(negatives: float) -> float:
    """log(K + 1): the largest bound that this many negatives can show."""
    return math.log(negatives + 1)


def instance_accuracy(logits: Tensor, top: int) -> float:
    """Share of queries whose positive is among the `top` highest; ties count against."""
    above = (logits[:, 1:] >= logits[:, :1]).sum(dim=1)
    return float((above < top).float().mean())


def alignment(q: Tensor, k_positive: Tensor) -> float:
    """E |q - k⁺|² of unit (n, D) tensors (Wang and Isola, 2005.10242)."""
    return float((q - k_positive).square().sum(dim=1).mean())


def uniformity(q: Tensor) -> float:
    """log E exp(-2 |qᵢ - qⱼ|²) over pairs of unit (n, D) queries (2005.10242)."""
    if len(q) < 2:
        return 0.0
    return float(torch.pdist(q).square().mul(-2).exp().mean().log())


def collapse(q: Tensor) -> float:
    """Mean deviation of unit (n, D) queries by dimension: about 1/√D healthy, 0 collapsed."""
    return float(q.std(dim=0, correction=0).mean())


def rank_me(features: Tensor) -> float:
    """exp of the entropy of normalised singular values (Garrido et al., 2210.02885).

    Of (n, F) features; comparable within one run only.
    """
    values = torch.linalg.svdvals(features.double())
    p = values / values.sum().clamp_min(1e-12) + 1e-12
    return float((-(p * p.log()).sum()).exp())


def near_duplicate_share(k_positive: Tensor, k_negative: Tensor, admissible: Tensor) -> float:
    """Share of admissible negatives whose key is almost the positive's.

    Shapes (n, D), (K, D) of unit length and (n, K).
    """
    twins = ((k_positive.to(k_negative.dtype) @ k_negative.T) > NEAR_DUPLICATE) & admissible
    return float(twins.sum() / admissible.sum().clamp_min(1))


def retrieval(q: Tensor, keys: Tensor, excluded: Tensor) -> float:
    """R@1: share of queries whose own key is the nearest of all that are not excluded.

    Shapes (n, D), (n, D) of unit length and (n, n); the diagonal is never excluded.
    """
    similarity = q @ keys.T
    own = torch.eye(len(q), dtype=torch.bool, device=q.device)
    similarity = similarity.masked_fill(excluded & ~own, -torch.inf)
    others = similarity.masked_fill(own, -torch.inf).amax(dim=1)
    return float((similarity.diagonal() > others).float().mean())
