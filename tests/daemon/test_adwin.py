"""ADWIN: changes are found, chance is not taken for one, and memory stays small."""

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.daemon.adwin import PER_SIZE, Adwin

DELTA = 0.002


def feed(window: Adwin, values: Iterable[float]) -> list[int]:
    """Where changes became plain."""
    return [i for i, value in enumerate(values) if window.add(value) is not None]


def noise(rng: random.Random, mean: float, count: int, spread: float = 0.1) -> list[float]:
    """Values between 0 and 1 around a mean."""
    return [min(max(rng.gauss(mean, spread), 0.0), 1.0) for _ in range(count)]


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.6), (0.6, 0.3), (0.5, 0.65)])
def test_a_change_is_found_soon_and_its_means_are_told(before: float, after: float) -> None:
    """After 200 values of one mean, one of another is seen within 100; the old part goes."""
    rng = random.Random(1)
    window = Adwin(DELTA)
    assert feed(window, noise(rng, before, 200)) == []
    changes = [window.add(value) for value in noise(rng, after, 100)]
    change = next(change for change in changes if change is not None)
    assert change.before == pytest.approx(before, abs=0.05)
    assert math.copysign(1, change.after - change.before) == math.copysign(1, after - before)
    assert len(window) < 200
    feed(window, noise(rng, after, 200))
    assert window.mean == pytest.approx(after, abs=0.05)


def test_chance_is_rarely_taken_for_change() -> None:
    """Of 100 streams of 1,000 values without a change, five at most see one."""
    rng = random.Random(2)
    alarmed = sum(
        bool(feed(Adwin(DELTA), noise(rng, 0.5, 1000, spread))) for spread in (0.05, 0.3) * 50
    )
    assert alarmed <= 5


def test_a_higher_delta_is_quicker() -> None:
    """What delta buys: a small change is seen earlier."""
    found = []
    for delta in (1e-6, 0.2):
        rng = random.Random(3)
        values = noise(rng, 0.4, 300) + noise(rng, 0.6, 300)
        found.append(feed(Adwin(delta), values)[0])
    assert found[1] < found[0]


def test_a_slow_drift_is_found() -> None:
    """A mean that creeps by a thousandth a value."""
    rng = random.Random(4)
    values = [min(rng.gauss(0.2 + i / 1000, 0.05), 1.0) for i in range(600)]
    assert feed(Adwin(DELTA), values)


@given(st.lists(st.floats(0.45, 0.55), min_size=1, max_size=400))
def test_the_histogram_keeps_count_sum_and_spread(values: list[float]) -> None:
    """However buckets merge, their sums are those of the values; no size has too many."""
    window = Adwin(delta=1e-9)
    for value in values:
        window.add(value)
    kept = values[len(values) - len(window) :]
    assert window.mean == pytest.approx(sum(kept) / len(kept))
    merged = window._buckets[0]
    for bucket in list(window._buckets)[1:]:
        merged = merged.merged(bucket)
    mean = sum(kept) / len(kept)
    assert merged.spread == pytest.approx(sum((v - mean) ** 2 for v in kept), abs=1e-9)
    counts = [bucket.count for bucket in window._buckets]
    assert counts == sorted(counts, reverse=True)
    assert all(counts.count(size) <= PER_SIZE for size in counts)


def test_memory_grows_with_the_logarithm() -> None:
    """10,000 constant values, and fewer than 70 buckets."""
    window = Adwin(DELTA)
    assert feed(window, [0.5] * 10_000) == []
    assert len(window) == 10_000
    assert len(window._buckets) < PER_SIZE * (math.log2(10_000) + 1)
    window.clear()
    assert (len(window), window.mean) == (0, None)
