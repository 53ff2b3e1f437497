from collections import Counter, defaultdict

import pytest

from rvsense.config import Simulate
from rvsense.replay.simulate.plan import CONTENTS, plan, site_date


def test_sites_take_turns_and_name_the_date() -> None:
    """Sequence i belongs to site i mod sites, and its name starts with that site's date."""
    for one in plan(Simulate(sequences=12, sites=4)):
        assert one.site == one.index % 4
        assert one.name.startswith(site_date(one.site) + "_")


@pytest.mark.parametrize("seed", range(5))
def test_every_block_at_a_site_holds_each_class_once(seed: int) -> None:
    """Classes are balanced at each site, in any four sequences that follow one another."""
    blocks = defaultdict(list)
    for one in plan(Simulate(sequences=96, sites=3, seed=seed)):
        blocks[one.site, one.index // 3 // 4].append(one.content)
    assert all(sorted(block) == sorted(CONTENTS) for block in blocks.values())


def test_name_order_favours_no_class() -> None:
    """Sorted by name, the first sequences of the sites are not all of one class."""
    first: dict[int, str] = {}
    for one in sorted(plan(Simulate(sequences=160, sites=8)), key=lambda p: p.name):
        first.setdefault(one.site, one.content)
    assert len(set(first.values())) >= 3


def test_more_sequences_leave_the_first_as_they_were() -> None:
    """A longer plan starts with the shorter one."""
    assert plan(Simulate(sequences=40))[:15] == plan(Simulate(sequences=15))


def test_a_tenth_is_for_testing_and_wanders_over_sites() -> None:
    """Every ten sequences have one test sequence, and every site gets some."""
    plans = plan(Simulate(sequences=120, sites=4))
    tests = [one for one in plans if one.split == "test"]
    assert Counter(one.index // 10 for one in tests) == dict.fromkeys(range(12), 1)
    assert {one.site for one in tests} == {0, 1, 2, 3}


def test_names_are_unique_and_upper_case() -> None:
    """Names follow YYYY_MM_DD_CODE and tell the class."""
    plans = plan(Simulate(sequences=100, sites=5, mixed=True))
    names = [one.name for one in plans]
    assert len(set(names)) == len(names)
    codes = {one.content: one.name[-3:] for one in plans}
    assert codes == {
        "empty": "EM0", "pedestrian": "PM1", "cyclist": "BM1", "car": "CM1", "mixed": "MLM",
    }  # fmt: skip
    assert all(name == name.upper() for name in names)
