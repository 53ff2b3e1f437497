"""The books: tallies, back-off, policy."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.daemon.backoff import Backoff
from rvsense.daemon.effects import PairFound
from rvsense.daemon.tally import Tally, median_and_p99, percentile
from rvsense.policy import abstention


def test_the_serving_ledger() -> None:
    """Taken in = answered + dropped + waiting, and it says so when that is not so."""
    tally = Tally()
    tally.received["radar"] = 10
    tally.received["camera"] = 99
    tally.answered = 5
    tally.dropped["overload"] = 2
    tally.dropped["late"] = 1
    assert tally.serving(2)["balanced"] is True
    assert tally.serving(1)["balanced"] is False
    assert tally.serving(3)["balanced"] is False
    tally.rejected["bad_size"] = 4
    assert tally.messages == 113


def test_the_pair_log_knows_sites_but_not_who_spoke_first() -> None:
    """The digest is of each site's pairs in order; how sites interleave does not show."""
    a = [PairFound("a", 0, i, i, 5, 1) for i in range(3)]
    b = [PairFound("b", 0, i, i, 5, 1) for i in range(3)]

    def digest(*pairs: PairFound) -> str:
        tally = Tally()
        for pair in pairs:
            tally.paired(pair)
        return tally.pair_log_sha256

    assert digest(*a, *b) == digest(b[0], a[0], a[1], b[1], b[2], a[2])
    assert digest(*a, *b) != digest(*a, b[1], b[0], b[2])
    later = [PairFound("b", 0, i, i, 5, lag_ns=9) for i in range(3)]
    assert digest(*a, *later) == digest(*a, *b)  # when they were found is no part of it
    moved = [PairFound("b", 0, i, i, 6, 1) for i in range(3)]
    assert digest(*a, *moved) != digest(*a, *b)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_that_covers(values: list[float], share: float) -> None:
    """At least `share` of the values do not exceed it, and no smaller value does that."""
    found = percentile(deque(values), share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values) - 1e-9
    smaller = [v for v in values if v < found]
    assert not smaller or sum(v <= max(smaller) for v in values) < share * len(values) + 1e-9
    assert percentile(deque(), share) is None
    both = median_and_p99("skew", deque(values))
    assert both == {f"skew_p{p}_ms": percentile(deque(values), p / 100) for p in (50, 99)}


def test_back_off_doubles_to_its_bound() -> None:
    """Short runs wait longer and longer; a stable run starts the count anew."""
    backoff = Backoff(first_s=1.0, most_s=5.0, stable_s=60.0)
    assert [backoff.delay_s(0.1) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.delay_s(60.0) == 1.0
    assert backoff.delay_s(59.9) == 2.0


SETTINGS = Serving(min_confidence=0.5, max_ood_score=1.5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(None, {}, None, "no_model"), "no_model"),
        (Answer(None, {}, 99.0, "no_labels"), "no_labels"),
        (Answer("car", {"car": 0.4, "empty": 0.3}, 9.0, None), "out_of_distribution"),
        (Answer("car", {"car": 0.4, "empty": 0.3}, 0.1, None), "low_confidence"),
        (Answer("car", {"car": 0.5, "empty": 0.3}, 1.5, None), None),
        (Answer("car", {"car": 0.9}, None, None), None),
    ],
)
def test_what_is_withheld(answer: Answer, reason: str | None) -> None:
    """The gravest reason wins; both bounds are inclusive on the answering side."""
    assert abstention(answer, SETTINGS) == reason
