"""The size of a batch where memory comes and goes."""

import itertools
import random

import pytest

from rvsense.learner.batching import FIRST_PATIENCE, GIVE_UP, LEAST, MOST_PATIENCE, BatchSize


def go(size: BatchSize, room: int) -> bool:
    """One step on a machine with room for so many pairs; whether it was taken."""
    if size.now > room:
        size.fell_short()
        return False
    size.went_well()
    return True


def test_with_enough_memory_nothing_changes() -> None:
    """The batch is what is configured, and nothing is counted."""
    size = BatchSize(64)
    for _ in range(3 * FIRST_PATIENCE):
        assert go(size, 64)
    assert size == BatchSize(64)


@pytest.mark.parametrize(
    ("configured", "least", "sizes"),
    [(64, 2, [64, 32, 16, 8, 4, 2, 2]), (7, 2, [7, 3, 2, 2]), (2, 2, [2, 2]), (10, 4, [10, 5, 4])],
)
def test_each_shortage_halves_down_to_the_least(
    configured: int, least: int, sizes: list[int]
) -> None:
    """And no further, however often it happens."""
    size, seen = BatchSize(configured, least), []
    for _ in sizes:
        seen.append(size.now)
        size.fell_short()
    assert seen == sizes


def test_room_that_comes_back_is_used() -> None:
    """After FIRST_PATIENCE good steps at each size the batch is doubled, up to the configured."""
    size = BatchSize(64)
    for _ in range(3):
        size.fell_short()
    sizes = []
    for _ in range(6 * FIRST_PATIENCE):
        sizes.append(size.now)
        size.went_well()
    at = [sizes.index(wanted) for wanted in (8, 16, 32, 64)]
    assert at == [0, FIRST_PATIENCE, 2 * FIRST_PATIENCE, 3 * FIRST_PATIENCE]
    assert size == BatchSize(64)


def test_a_machine_that_is_too_small_is_tried_ever_less_often() -> None:
    """Where half fits and the whole never does, the waits between two tries double, to a bound."""
    size, failed = BatchSize(64), []
    for step in range(40_000):
        if not go(size, 40):
            failed.append(step)
    waits = [later - earlier - 1 for earlier, later in itertools.pairwise(failed)]
    doubling = [FIRST_PATIENCE * 2**n for n in range(8)]
    assert waits == doubling + [MOST_PATIENCE] * (len(waits) - len(doubling))
    assert len(waits) > len(doubling)


def test_only_the_least_in_a_row_is_hopeless() -> None:
    """GIVE_UP times; one good step starts the count anew."""
    size = BatchSize(8)
    for _ in range(2):
        size.fell_short()
    for _ in range(GIVE_UP - 1):
        size.fell_short()
    size.went_well()
    for _ in range(GIVE_UP):
        assert not size.hopeless
        size.fell_short()
    assert size.hopeless


@pytest.mark.parametrize("seed", range(20))
def test_a_restart_changes_no_size(seed: int) -> None:
    """Whatever the memory does, a state that is saved and loaded gives the same sizes (L4)."""
    chance = random.Random(seed)
    whole, parts = BatchSize(64), BatchSize(64)
    room = 64
    for _ in range(2000):
        if chance.random() < 0.02:
            room = chance.choice((1, 2, 5, 16, 33, 64))
        assert go(whole, room) == go(parts, room)
        assert LEAST <= whole.now <= 64
        assert whole.now == parts.now
        if chance.random() < 0.05:
            state, parts = parts.state(), BatchSize(64)
            parts.load(state)
            assert parts == whole


def test_another_configured_size_takes_the_state_as_well() -> None:
    """A smaller one is not halved beyond the least; a larger one is halved as often as before."""
    size = BatchSize(64)
    for _ in range(4):
        size.fell_short()
    smaller, larger = BatchSize(6), BatchSize(256)
    smaller.load(size.state())
    larger.load(size.state())
    assert (smaller.now, larger.now) == (2, 16)
    smaller.halvings -= 1
    assert smaller.now == 3
