"""Which sequences a run writes: name, site, class, split. A pure function of the settings.

Sequence i belongs to site i mod sites. Within a site every block of four sequences holds each
class once in an order drawn from the seed, so neither time nor name order favours a class, and
asking for more sequences leaves the first ones as they were.
"""

from dataclasses import dataclass

import numpy as np

from rvsense.config import Simulate

CONTENTS = ("empty", "pedestrian", "cyclist", "car")
MIXED = "mixed"
_CODES = {"empty": "EM0", "pedestrian": "PM1", "cyclist": "BM1", "car": "CM1", MIXED: "MLM"}

TEST_EVERY = 10
"""One sequence in so many goes to sequences/test, without images."""

# First word of every random stream, so that no two of them can coincide.
STREAM_SITE = 1
STREAM_ORDER = 2
STREAM_SEQUENCE = 3


@dataclass(frozen=True)
class SequencePlan:
    """One sequence to make. `content` is a class name or "mixed"."""

    index: int
    site: int
    content: str
    split: str
    name: str


def stream(seed: int, *key: int) -> np.random.Generator:
    """The random stream that belongs to `key` under `seed`."""
    return np.random.default_rng(np.random.SeedSequence([seed, *key]))


def site_date(site: int) -> str:
    """The date that names a site: site 0 is 2026_01_01."""
    return f"2026_01_{site + 1:02d}"


def plan(settings: Simulate) -> list[SequencePlan]:
    """Every sequence of the run in order of index."""
    return [_plan_one(settings, index) for index in range(settings.sequences)]


def _plan_one(settings: Simulate, index: int) -> SequencePlan:
    site, serial = index % settings.sites, index // settings.sites
    contents = (*CONTENTS, MIXED) if settings.mixed else CONTENTS
    block, place = divmod(serial, len(contents))
    order = stream(settings.seed, STREAM_ORDER, site, block).permutation(len(contents))
    content = contents[int(order[place])]
    return SequencePlan(
        index=index,
        site=site,
        content=content,
        split="test" if _is_test(index) else "train",
        name=f"{site_date(site)}_S{serial:03d}{_CODES[content]}",
    )


def _is_test(index: int) -> bool:
    """One in every `TEST_EVERY`, at a place that wanders so that all sites have their turn."""
    block, place = divmod(index, TEST_EVERY)
    return place == (TEST_EVERY - 1 - 3 * block) % TEST_EVERY
