"""Positives from nearby in time: of the same place, within the window, and repeatable."""

from collections import Counter

import torch

from rvsense.learner.temporal import swap_for_neighbours

NS = 10**9


def generator(seed: int = 0) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def pool() -> tuple[torch.Tensor, torch.Tensor]:
    """Stamps and places of 300 pairs at 0.1 s, of three places in turn and in shuffled slots."""
    order = torch.randperm(300, generator=generator(9))
    return order * NS // 10, order % 3


def test_never_across_places_nor_beyond_the_window() -> None:
    """Whatever is drawn is the slot itself or a neighbour of it."""
    stamps, places = pool()
    slots = torch.arange(300)
    for seed in range(20):
        chosen = swap_for_neighbours(slots, stamps, places, NS, generator(seed))
        assert torch.equal(places[chosen], places)
        assert ((stamps[chosen] - stamps).abs() <= NS).all()


def test_half_are_swapped_and_neighbours_have_equal_chances() -> None:
    """Of one slot with six neighbours, each comes up in a twelfth of many draws."""
    stamps, places = pool()
    slot = int((stamps == 15 * NS).nonzero())
    chosen = swap_for_neighbours(torch.full((24_000,), slot), stamps, places, NS, generator())
    shares = {found: n / 24_000 for found, n in Counter(chosen.tolist()).items()}
    assert abs(shares.pop(slot) - 0.5) < 0.02
    near = {int((stamps == t * NS // 10).nonzero()) for t in (141, 144, 147, 153, 156, 159)}
    assert set(shares) == near
    assert all(abs(share - 1 / 12) < 0.01 for share in shares.values())


def test_a_pair_alone_keeps_its_key() -> None:
    """Without a neighbour there is nothing to swap for."""
    stamps, places = torch.tensor([0, 10 * NS, 10 * NS + 1]), torch.tensor([5, 5, 6])
    slots = torch.tensor([0, 1, 2, 0])
    for seed in range(10):
        assert torch.equal(
            swap_for_neighbours(slots, stamps, places, 9 * NS, generator(seed)), slots
        )


def test_the_same_generator_draws_the_same() -> None:
    """Also the next draw after it: what the pool holds does not change how much is drawn."""
    stamps, places = pool()
    slots, ends = torch.arange(64), []
    for window in (NS, NS, 0):
        source = generator(4)
        chosen = swap_for_neighbours(slots, stamps, places, window, source)
        ends.append((chosen.tolist(), torch.rand(1, generator=source).item()))
    assert ends[0] == ends[1]
    assert ends[0][0] != ends[2][0] == slots.tolist()
    assert ends[0][1] == ends[2][1]
