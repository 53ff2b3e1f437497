"""The first minutes of the simulated day; the long suite lives through all of it."""

from tests.simulate.day import Hour, growth_mb, live, opened

MINUTES = 2


def test_minutes_of_a_day_lose_nothing_and_open_nothing() -> None:
    """All is answered and learned, whatever is slow, and descriptors stay as they were."""
    hours = list(live(MINUTES / 60))
    assert len({hour.descriptors for hour in hours}) == 1


def test_growth_is_counted_once_memory_has_settled() -> None:
    """What is filled in the first hours is no growth."""
    sizes = [100.0, 150.0, 151.0, 152.0]
    hours = [Hour(n, memory_mb, 6, 0.0) for n, memory_mb in enumerate(sizes, 1)]
    assert growth_mb(hours) == 1.0


def test_a_descriptor_left_open_is_counted() -> None:
    """In any hour; the end of the run, which closes what is open, hides none."""
    counts = [7, 7, 9, 6]
    assert opened([Hour(n, 100.0, count, 0.0) for n, count in enumerate(counts, 1)]) == 2
    assert opened([Hour(n, 100.0, count, 0.0) for n, count in enumerate([7, 7, 6], 1)]) == 0
