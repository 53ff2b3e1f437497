"""Label-free figures at points where their value is known."""

import math

import pytest
import torch
from torch.nn import functional as F

from rvsense.learner import diagnostics


def units(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Random unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)


@pytest.mark.parametrize(("k", "ceiling"), [(320, 5.77), (4096, 8.32), (65_536, 11.09)])
def test_mi_ceiling(k: int, ceiling: float) -> None:
    """log(K + 1), and a loss of chance proves nothing."""
    assert diagnostics.mi_ceiling(k) == pytest.approx(ceiling, abs=0.005)
    assert diagnostics.mi_bound(math.log(k + 1), k) == pytest.approx(0)


def test_masked_keys_are_no_negatives() -> None:
    """Only finite logits are counted."""
    logits = torch.zeros(2, 5)
    logits[0, 3:] = -torch.inf
    assert diagnostics.negatives_per_query(logits) == 3


def test_instance_accuracy_counts_ties_against() -> None:
    """A collapsed encoder, for which all keys are equal, gets nothing right."""
    assert diagnostics.instance_accuracy(torch.zeros(4, 9), 1) == 0
    logits = torch.tensor([[2.0, 1, 0], [1, 2, 0], [0, 1, 2]])
    assert diagnostics.instance_accuracy(logits, 1) == pytest.approx(1 / 3)
    assert diagnostics.instance_accuracy(logits, 2) == pytest.approx(2 / 3)


def test_alignment_and_uniformity() -> None:
    """Equal pairs align at 0, opposite ones at 4; one point is as far from uniform as can be."""
    q = units(50, 8)
    assert diagnostics.alignment(q, q) == 0
    assert diagnostics.alignment(q, -q) == pytest.approx(4)
    assert diagnostics.uniformity(q[:1].expand(10, 8)) == pytest.approx(0)
    assert diagnostics.uniformity(q) < -1


def test_collapse_and_rank() -> None:
    """Spread and rank are full for random features, none for copies of one."""
    q = units(400, 16)
    assert diagnostics.collapse(q) == pytest.approx(1 / math.sqrt(16), rel=0.05)
    assert diagnostics.collapse(q[:1].expand(9, 16)) == pytest.approx(0, abs=1e-6)
    assert diagnostics.rank_me(torch.eye(12)) == pytest.approx(12, rel=1e-6)
    assert diagnostics.rank_me(q[:1].expand(9, 16)) == pytest.approx(1, abs=1e-3)


def test_near_duplicates() -> None:
    """Half of the admissible negatives are copies of the positive."""
    keys = units(4, 32)
    positive = keys[:1]
    negative = torch.cat([positive, positive, keys[1:3], positive])
    admissible = torch.tensor([[True, True, True, True, False]])
    assert diagnostics.near_duplicate_share(positive, negative, admissible) == 0.5


def test_retrieval() -> None:
    """Perfect for q = k, chance for unrelated queries, and blind to excluded near copies."""
    keys, none = units(60, 32), torch.zeros(60, 60, dtype=torch.bool)
    assert diagnostics.retrieval(keys, keys, none) == 1
    assert diagnostics.retrieval(units(60, 32, seed=1), keys, none) < 0.15
    doubled = keys.repeat_interleave(2, dim=0)
    pairs = torch.arange(120) // 2
    same = pairs[:, None] == pairs[None]
    assert diagnostics.retrieval(doubled, doubled, torch.zeros_like(same)) == 0
    assert diagnostics.retrieval(doubled, doubled, same) == 1
