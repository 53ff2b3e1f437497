"""What may stand beside Eq. (1), at points where its value is known or a loop computes it."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from rvsense.learner import loss
from rvsense.learner.objective import Objective


def units(n: int, dim: int, seed: int) -> torch.Tensor:
    """Random unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)


def some_keys() -> tuple[torch.Tensor, ...]:
    """Queries, positives, negatives and a mask in which one query has no negative at all."""
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(3)) < 0.7
    mask[2] = False
    return units(5, 6, 0), units(5, 6, 1), units(7, 6, 2), mask


def cross_modal(**changes: Any) -> torch.Tensor:
    """The loss of `some_keys` under these settings."""
    q, positive, negative, mask = some_keys()
    logits = loss.similarity(q, positive, negative, mask, 0.2)
    return Objective(0.2, 0, **changes).cross_modal(logits, positive, negative, mask)


def test_with_every_setting_off_it_is_equation_1() -> None:
    """To the bit, so that a run in the paper's form is the paper's."""
    q, positive, negative, mask = some_keys()
    assert torch.equal(cross_modal(), loss.info_nce(q, positive, negative, mask, 0.2).loss)


def test_decoupled_leaves_the_positive_out() -> None:
    """-q·k⁺/τ + log Σ exp(q·k⁻/τ), one exponential at a time; 0 for the query without any."""
    q, positive, negative, mask = some_keys()
    wanted = 0.0
    for n in (0, 1, 3, 4):
        others = sum(math.exp(q[n] @ negative[i] / 0.2) for i in range(7) if mask[n, i])
        wanted += math.log(others) - float(q[n] @ positive[n]) / 0.2
    assert cross_modal(decoupled=True).item() == pytest.approx(wanted / 5, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"decoupled": True}, {"soft_targets": 0.5}, {"soft_targets": 1.0, "decoupled": True}],
)
def test_a_query_without_negatives_pulls_at_nothing(changes: dict[str, Any]) -> None:
    """Its gradient is zero, not NaN, whatever the others do."""
    q, positive, negative, mask = some_keys()
    q.requires_grad_()
    logits = loss.similarity(q, positive, negative, mask, 0.2)
    total = Objective(0.2, 0, **changes).cross_modal(logits, positive, negative, mask)
    (gradient,) = torch.autograd.grad(total, q)
    assert torch.isfinite(gradient).all()
    assert torch.equal(gradient[2], torch.zeros(6))
    assert (gradient[[0, 1, 3, 4]].abs().sum(dim=1) > 1e-3).all()


@pytest.mark.parametrize("changes", [{}, {"decoupled": True}, {"soft_targets": 0.5}])
def test_a_barred_key_moves_a_query_no_more_than_one_that_is_not_there(
    changes: dict[str, Any],
) -> None:
    """Loss and gradient are those of the admissible keys alone."""
    whole, positive, negative, _ = some_keys()
    left = torch.tensor([0, 3, 6])
    mask = torch.isin(torch.arange(7), left).repeat(5, 1)
    objective, found = Objective(0.2, 0, **changes), []
    for keys, fit in ((negative, mask), (negative[left], mask[:, left])):
        q = whole.clone().requires_grad_()
        logits = loss.similarity(q, positive, keys, fit, 0.2)
        value = objective.cross_modal(logits, positive, keys, fit)
        found.append((value.detach(), *torch.autograd.grad(value, q)))
    assert found[0][1].abs().sum() > 0
    for barred, absent in zip(*found, strict=True):
        torch.testing.assert_close(barred, absent)


def test_soft_targets_are_shares_of_what_is_admissible() -> None:
    """They sum to one, are zero on masked keys, and are one-hot where there is no other."""
    _, positive, negative, mask = some_keys()
    targets = loss.soft_targets(positive, negative, mask, 0.3)
    assert torch.allclose(targets.sum(dim=1), torch.ones(5))
    assert torch.equal(targets[:, 1:] > 0, mask)
    assert targets[2, 0] == 1


def test_equal_keys_share_the_target_evenly() -> None:
    """Two copies of the positive and an opposite key: a third each, and next to none."""
    positive = torch.tensor([[1.0, 0.0]])
    negative = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    targets = loss.soft_targets(positive, negative, mask, 0.05)
    assert torch.allclose(targets, torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0.0]]), atol=1e-6)
    for direction in ((1.0, 0.0), (0.6, 0.8)):
        logits = loss.similarity(torch.tensor([direction]), positive, negative, mask, 1.0)
        log_p = F.log_softmax(logits, dim=1)
        soft = Objective(1.0, 0, soft_targets=1.0, soft_temperature=0.05)
        total = soft.cross_modal(logits, positive, negative, mask)
        assert total.item() == pytest.approx(-float(log_p[0, :3].mean()), rel=1e-5)


def test_soft_weight_mixes_the_two() -> None:
    """A quarter soft is three quarters of the hard loss and a quarter of the soft one."""
    hard, soft = cross_modal(), cross_modal(soft_targets=1.0, soft_temperature=0.3)
    mixed = cross_modal(soft_targets=0.25, soft_temperature=0.3)
    assert mixed.item() == pytest.approx(0.75 * hard.item() + 0.25 * soft.item(), rel=1e-6)
    assert soft.item() != pytest.approx(hard.item(), rel=1e-2)


def test_cold_soft_targets_are_one_hot() -> None:
    """At a low temperature of its own the soft loss is Eq. (1) again."""
    cold = cross_modal(soft_targets=1.0, soft_temperature=1e-3)
    assert cold.item() == pytest.approx(cross_modal().item(), rel=1e-5)


def slow_views(q: torch.Tensor, other: torch.Tensor, near: torch.Tensor, tau: float) -> float:
    """NT-Xent, one exponential at a time."""
    views, total = torch.cat([q, other]), 0.0
    n = len(q)
    for i in range(2 * n):
        scores = [math.exp(views[i] @ view / tau) for view in views]
        positive = scores[(i + n) % (2 * n)]
        others = [j for j in range(2 * n) if j % n != i % n and not near[i % n, j % n]]
        total -= math.log(positive / (positive + sum(scores[j] for j in others)))
    return total / (2 * n)


def test_intra_modal_is_nt_xent_without_near_copies() -> None:
    """The loop's value, and another one where near copies are excluded."""
    q, other = units(5, 6, 0), units(5, 6, 1)
    none = torch.zeros(5, 5, dtype=torch.bool)
    some = none.clone()
    some[0, 1] = some[1, 0] = some[3, 4] = some[4, 3] = True
    values = [loss.intra_modal(q, other, near, 0.3).item() for near in (none, some)]
    wanted = [slow_views(q, other, near, 0.3) for near in (none, some)]
    assert values == pytest.approx(wanted, rel=1e-5)
    assert values[1] < values[0]
    everything = torch.ones(5, 5, dtype=torch.bool)
    assert loss.intra_modal(q, other, everything, 0.3).item() == 0
