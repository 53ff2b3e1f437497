"""The queue of past keys and the loss over it, against slow loops in NumPy."""

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from rvsense.learner.loss import info_nce
from rvsense.learner.queue import KeyQueue

CPU = torch.device("cpu")
SIZES = [(7, 3), (10, 4), (5, 5), (3, 8), (16, 6)]  # (K, batch): most do not divide


def batch_of(n: int, start: int, dim: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unit keys with stamps one second apart, alternating between two places."""
    generator = torch.Generator().manual_seed(start)
    keys = F.normalize(torch.randn(n, dim, generator=generator), dim=1)
    order = torch.arange(start, start + n)
    return keys, order * 10**9, order % 2


@pytest.mark.parametrize(("size", "batch"), SIZES)
def test_queue_holds_the_newest_keys(size: int, batch: int) -> None:
    """After any number of batches the queue holds the last K keys, oldest first in its state."""
    queue, oracle = KeyQueue(size, 4, CPU), deque[tuple[float, ...]](maxlen=size)
    for i in range(6):
        keys, stamps, places = batch_of(batch, i * batch)
        queue.enqueue(keys, stamps, places)
        oracle.extend(tuple(key) for key in keys.tolist())
        assert [tuple(key) for key in queue.state()["keys"].tolist()] == list(oracle)
        assert queue.fill == len(oracle)


@pytest.mark.parametrize(("size", "batch"), SIZES)
def test_pointer_walks_slots_in_order(size: int, batch: int) -> None:
    """Key number j of a stream lies in slot j modulo K, as in MoCo's ring."""
    if batch > size:
        pytest.skip("a batch larger than the queue skips slots")
    queue = KeyQueue(size, 4, CPU)
    for i in range(5):
        queue.enqueue(*batch_of(batch, i * batch))
    for j in range(max(0, 5 * batch - size), 5 * batch):
        assert queue.stamps[j % size] == j * 10**9


def test_unfilled_slots_are_no_negatives() -> None:
    """Before the first key nothing is admissible, then exactly what was put in."""
    queue = KeyQueue(10, 4, CPU)
    stamps, places = torch.tensor([10**15]), torch.tensor([7])
    assert not queue.admissible(stamps, places, 0).any()
    queue.enqueue(*batch_of(4, 0))
    assert queue.admissible(stamps, places, 0)[0].tolist() == [True] * 4 + [False] * 6


def test_exclusion_window_is_inclusive_and_of_one_place() -> None:
    """A key within the window of its own place is masked; of another place it is not."""
    queue = KeyQueue(8, 4, CPU)
    queue.enqueue(*batch_of(8, 0))  # stamps 0..7 s, places 0 and 1 in turn
    mask = queue.admissible(torch.tensor([4 * 10**9]), torch.tensor([0]), 2 * 10**9)[0]
    assert mask.tolist() == [True, True, False, True, False, True, False, True]


def slow_info_nce(
    q: NDArray[Any], positive: NDArray[Any], negative: NDArray[Any], mask: NDArray[Any], tau: float
) -> float:
    """Eq. (1), one exponential at a time."""
    total = 0.0
    for n in range(len(q)):
        score = np.exp(q[n] @ positive[n] / tau)
        others = sum(np.exp(q[n] @ negative[i] / tau) for i in range(len(negative)) if mask[n, i])
        total -= np.log(score / (score + others))
    return total / len(q)


@pytest.mark.parametrize(("size", "batch"), SIZES)
@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_loss_is_equation_1(size: int, batch: int, tau: float) -> None:
    """The loss equals the equation written as loops, for partly filled and masked queues."""
    queue = KeyQueue(size, 4, CPU)
    queue.enqueue(*batch_of(max(size - 2, 1), 100))
    q, stamps, places = batch_of(batch, 102)
    positive = batch_of(batch, 7)[0]
    mask = queue.admissible(stamps, places, 10**9)
    loss = info_nce(q, positive, queue.keys, mask, tau).loss.item()
    wanted = slow_info_nce(q.numpy(), positive.numpy(), queue.keys.numpy(), mask.numpy(), tau)
    assert loss == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_query_without_negatives_costs_nothing() -> None:
    """With every key masked the loss and its gradient are zero, not NaN."""
    q = F.normalize(torch.randn(2, 4), dim=1).requires_grad_()
    keys = F.normalize(torch.randn(3, 4), dim=1)
    loss = info_nce(q, q.detach(), keys, torch.zeros(2, 3, dtype=torch.bool), 0.07).loss
    (gradient,) = torch.autograd.grad(loss, q)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("size", [4, 7, 12])
def test_state_fits_a_queue_of_another_size(size: int) -> None:
    """A queue of another K takes the newest keys; of the same K every slot is as it was."""
    queue = KeyQueue(7, 4, CPU)
    for i in range(4):
        queue.enqueue(*batch_of(3, 3 * i))
    other = KeyQueue(size, 4, CPU)
    other.load(queue.state())
    kept = min(size, 7)
    assert other.state()["stamps"].tolist() == queue.state()["stamps"].tolist()[-kept:]
    if size == 7:
        assert torch.equal(other.keys, queue.keys)
        assert other.pointer == queue.pointer
