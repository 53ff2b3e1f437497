"""The ledger's arithmetic, and which pairs thinning keeps."""

import random

import pytest

from rvsense.daemon.decisions import Frame, Paired
from rvsense.daemon.ledger import SiteLedger, StreamLedger
from rvsense.daemon.thinning import Thinning

MS = 1_000_000


def test_balance() -> None:
    """A frame lost, counted twice or paired in one stream only is an imbalance."""
    radar = StreamLedger(10, 6, {"unmatched": 2, "late": 1}, 1)
    camera = StreamLedger(6, 6, {}, 0)
    assert SiteLedger(radar, camera).balanced()
    assert not SiteLedger(radar, StreamLedger(7, 6, {}, 0)).balanced()
    assert not SiteLedger(radar, StreamLedger(5, 5, {}, 0)).balanced()
    assert not StreamLedger(10, 6, {"unmatched": 2, "late": 1}, 2).balanced()


def test_ledger_as_dict() -> None:
    """What the status shows: reasons that never happened are left out."""
    ledger = StreamLedger(3, 1, {"unmatched": 1, "late": 0}, 1)
    assert ledger.as_dict() == {
        "received": 3,
        "paired": 1,
        "dropped": {"unmatched": 1},
        "pending": 1,
    }


def pairs_at(stamps_ms: list[int], era: int = 0) -> list[Paired]:
    """Pairs with these radar stamps."""
    return [
        Paired(Frame("radar", 0, ms * MS), Frame("camera", 0, ms * MS), 0, 0, era)
        for ms in stamps_ms
    ]


@pytest.mark.parametrize(("rate_hz", "kept"), [(5.0, 50), (1.0, 10), (30.0, 300), (0.0, 300)])
def test_rate(rate_hz: float, kept: int) -> None:
    """Ten seconds at 30 fps leave rate times ten pairs; a rate of 0 leaves all."""
    thinning = Thinning(rate_hz)
    pairs = pairs_at([k * 1000 // 30 + 5 for k in range(300)])
    assert sum(thinning.keeps(pair) for pair in pairs) == kept


def test_stamps_alone_decide() -> None:
    """Which pair of a bucket is kept does not depend on how many came in the buckets before."""
    rng = random.Random(0)
    pairs = pairs_at([k * 33 for k in range(300)])
    one, other = Thinning(5.0), Thinning(5.0)
    kept = [pair for pair in pairs if one.keeps(pair)]
    thinner = [pair for pair in pairs if pair.radar.stamp_ns > 5000 * MS or rng.random() < 0.5]
    kept_of_fewer = [pair for pair in thinner if other.keeps(pair)]
    late = [pair for pair in kept if pair.radar.stamp_ns > 5200 * MS]
    assert late == [pair for pair in kept_of_fewer if pair.radar.stamp_ns > 5200 * MS]


def test_a_new_era_starts_afresh() -> None:
    """The same stamps in a new era are kept again."""
    thinning = Thinning(5.0)
    assert [thinning.keeps(pair) for pair in pairs_at([0, 33])] == [True, False]
    assert [thinning.keeps(pair) for pair in pairs_at([0, 33], era=1)] == [True, False]
