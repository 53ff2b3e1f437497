"""Pool policies: who stays."""

import pytest
import torch
from torch.nn import functional as F

from rvsense.learner.pool import Fifo, MinRedundancy, Policy, Reservoir, make_policy
from rvsense.learner.rows import CHUNK_ROWS, Column, Rows


def kept(policy: Policy, keys: torch.Tensor, capacity: int) -> list[int]:
    """Numbers of the keys in each slot after all were offered."""
    slots = [-1] * capacity
    offer(policy, keys, slots)
    return slots


def offer(policy: Policy, keys: torch.Tensor, slots: list[int]) -> list[int | None]:
    """Put the number of every kept key into its slot, -1 being a free one; the decisions."""
    decisions = []
    for i, key in enumerate(keys):
        slot = policy.slot(key, len(slots) - slots.count(-1))
        if slot is not None:
            slots[slot] = i
        decisions.append(slot)
    return decisions


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


def test_min_redundancy_takes_over_a_pool_that_another_policy_filled() -> None:
    """From the keys alone it finds the neighbours that it would have found itself."""
    keys = torch.randn(30, 6, generator=torch.Generator().manual_seed(2))
    own, other = MinRedundancy(30, 6), MinRedundancy(30, 6)
    kept(own, keys, 30)
    other.load({"seen": torch.tensor(30), "keys": keys})
    wanted, found = own.state(), other.state()
    assert torch.allclose(found["likeness"], wanted["likeness"], atol=1e-5)
    assert all(torch.equal(found[name], wanted[name]) for name in ("seen", "nearest", "age"))


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
    slots = kept(first, keys[:30], 9)
    second, other_generator = new()
    second.load(first.state())
    other_generator.set_state(its_generator.get_state())
    assert offer(first, keys[30:], [*slots]) == offer(second, keys[30:], [*slots])


@pytest.mark.parametrize("fill", [3, 7, 9, 40])
@pytest.mark.parametrize("capacity", [4, 9, 15, 16, 33])
@pytest.mark.parametrize("name", ["reservoir", "fifo", "min_redundancy"])
def test_a_table_of_another_size_is_filled_and_stays_full(
    name: str, capacity: int, fill: int
) -> None:
    """After a restore into more or fewer rows, free slots go first and none lies beyond."""
    keys = torch.randn(100, 6, generator=torch.Generator().manual_seed(2))
    old = make_policy(name, 9, 6, torch.Generator().manual_seed(5))
    before = kept(old, keys[:fill], 9)
    new = make_policy(name, capacity, 6, torch.Generator().manual_seed(5))
    new.load(old.state())
    slots = (before + [-1] * capacity)[:capacity]
    free = [i for i, number in enumerate(slots) if number < 0]
    decisions = offer(new, keys[fill:], slots)
    assert decisions[: len(free)] == free
    assert min(slots) >= 0
    assert len(slots) == capacity


def test_fifo_of_another_size_keeps_the_newest_after_one_round() -> None:
    """The order of age is back once every slot has had its turn."""
    old = Fifo(5)
    slots = kept(old, torch.zeros(7, 1), 5) + [-1] * 3
    new = Fifo(8)
    new.load(old.state())
    offer(new, torch.zeros(11, 1), slots)
    assert sorted(slots) == list(range(3, 11))


@pytest.mark.parametrize("capacity", [1, CHUNK_ROWS, CHUNK_ROWS + 3, 5 * CHUNK_ROWS])
def test_rows_of_another_size_take_what_fits(capacity: int) -> None:
    """Chunks of a larger table leave a smaller one full, never more than full."""
    big = Rows(3 * CHUNK_ROWS, {"x": Column((), torch.int64)})
    for i in range(3 * CHUNK_ROWS):
        big.put(i, x=i)
    small = Rows(capacity, {"x": Column((), torch.int64)})
    for index, _, tensors in big.chunks():
        small.load_chunk(index, f"digest-{index}", tensors)
    assert small.take("x").tolist() == list(range(min(capacity, 3 * CHUNK_ROWS)))
    assert small.fill == len(small.take("x"))


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
