"""Pool policies: who stays."""

import pytest
import torch
from torch.nn import functional as F

from rvsense.learner.pool import Fifo, MinRedundancy, Policy, Reservoir
from rvsense.learner.rows import CHUNK_ROWS, Column, Rows


def kept(policy: Policy, keys: torch.Tensor, capacity: int) -> list[int]:
    """Numbers of the keys in each slot after all were offered."""
    slots = [-1] * capacity
    for i, key in enumerate(keys):
        slot = policy.slot(key)
        if slot is not None:
            slots[slot] = i
    return slots


def test_reservoir_is_uniform() -> None:
    """Early and late pairs are kept equally often: chi-squared over 400 seeds stays ordinary."""
    counts = torch.zeros(40)
    for seed in range(400):
        policy = Reservoir(8, torch.Generator().manual_seed(seed))
        counts[kept(policy, torch.zeros(40, 1), 8)] += 1
    expected = 400 * 8 / 40
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert statistic < 72.1  # 99.9 % quantile for 39 degrees of freedom


def test_fifo_keeps_the_newest() -> None:
    """The last N pairs stay."""
    assert sorted(kept(Fifo(5), torch.zeros(17, 1), 5)) == [12, 13, 14, 15, 16]


def slow_min_redundancy(keys: torch.Tensor, capacity: int) -> set[int]:
    """All cosines anew at every pair; the older of the closest two leaves."""
    pool: list[int] = []
    units = F.normalize(keys, dim=1).half().float()
    for i in range(len(keys)):
        pool.append(i)
        if len(pool) > capacity:
            pairs = [(a, b) for n, a in enumerate(pool) for b in pool[n + 1 :]]
            older, _ = max(pairs, key=lambda ab: float(units[ab[0]] @ units[ab[1]]))
            pool.remove(older)
    return set(pool)


@pytest.mark.parametrize("seed", range(8))
def test_min_redundancy_drops_the_closest(seed: int) -> None:
    """The pool equals the one of the slow rule, whatever the keys."""
    keys = torch.randn(40, 6, generator=torch.Generator().manual_seed(seed))
    assert set(kept(MinRedundancy(9, 6), keys, 9)) == slow_min_redundancy(keys, 9)


def test_min_redundancy_keeps_the_rare() -> None:
    """A scene seen once survives a flood of near copies of another."""
    generator = torch.Generator().manual_seed(0)
    common = torch.tensor([1.0, 0, 0, 0]) + 0.01 * torch.randn(100, 4, generator=generator)
    rare = torch.tensor([[0, 1.0, 0, 0]])
    slots = kept(MinRedundancy(5, 4), torch.cat([common[:10], rare, common[10:]]), 5)
    assert 10 in slots


@pytest.mark.parametrize("name", ["reservoir", "fifo", "min_redundancy"])
def test_state_continues_the_same_decisions(name: str) -> None:
    """A policy loaded in mid-stream decides as the one that went on."""
    keys = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))

    def new() -> tuple[Policy, torch.Generator]:
        generator = torch.Generator().manual_seed(5)
        policies: dict[str, Policy] = {
            "reservoir": Reservoir(9, generator),
            "fifo": Fifo(9),
            "min_redundancy": MinRedundancy(9, 6),
        }
        return policies[name], generator

    first, its_generator = new()
    kept(first, keys[:30], 9)
    second, other_generator = new()
    second.load(first.state())
    other_generator.set_state(its_generator.get_state())
    assert [first.slot(key) for key in keys[30:]] == [second.slot(key) for key in keys[30:]]


def test_rows_know_which_chunks_changed() -> None:
    """After saving, only the chunk of a rewritten row has lost its digest."""
    rows = Rows(4 * CHUNK_ROWS, {"x": Column((2,), torch.float16)})
    for i in range(3 * CHUNK_ROWS):
        rows.put(i, x=torch.full((2,), float(i)))
    for index, _, _ in rows.chunks():
        rows.saved(index, f"digest-{index}")
    rows.put(CHUNK_ROWS + 1, x=torch.zeros(2))
    assert [digest for _, digest, _ in rows.chunks()] == ["digest-0", None, "digest-2"]


def test_rows_refuse_a_gap() -> None:
    """A slot beyond the first free one would leave a row of zeros that sampling could draw."""
    rows = Rows(4, {"x": Column((), torch.int64)})
    with pytest.raises(IndexError, match="slot 2"):
        rows.put(2, x=1)
