"""The books: scores, tallies, back-off, policy."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.daemon.backoff import Backoff
from rvsense.daemon.effects import PairFound
from rvsense.daemon.scoring import Score
from rvsense.daemon.tally import Tally, percentile
from rvsense.policy import abstention


def test_truth_before_and_after_the_answer_count_alike() -> None:
    """A label scores its answer whichever of the two comes first, and once."""
    score = Score()
    score.answered(("a", 0, 1), "car", False)
    score.told(("a", 0, 1), "car")
    score.told(("a", 0, 2), "car")
    score.answered(("a", 0, 2), "empty", True)
    score.told(("a", 0, 1), "car")
    score.answered(("a", 0, 2), "empty", True)
    assert (score.scored, score.accuracy, score.coverage) == (2, 0.5, 0.5)


def test_frames_of_other_sites_and_epochs_do_not_meet() -> None:
    """A truth belongs to one site, one epoch and one stamp."""
    score = Score()
    score.answered(("a", 0, 1), "car", False)
    for key in (("b", 0, 1), ("a", 1, 1), ("a", 0, 2)):
        score.told(key, "car")
    assert score.scored == 0


def test_answers_without_a_classifier_do_not_count() -> None:
    """Before the first head there is no accuracy, rather than one of zero."""
    score = Score()
    score.answered(("a", 0, 1), None, True)
    score.told(("a", 0, 1), "car")
    assert (score.scored, score.accuracy, score.coverage) == (0, None, None)


def test_the_score_forgets() -> None:
    """Only the last `window` answers count, and what waits for its other half is bounded."""
    score = Score(window=10, remembered=20)
    for i in range(200):
        score.told(("a", 0, i), "car")
        score.answered(("a", 0, i), "car" if i >= 190 else "empty", False)
        score.told(("b", 0, i), "car")
        score.answered(("c", 0, i), "car", False)
    assert score.accuracy == 1.0
    assert (score.scored, len(score._truths), len(score._answers)) == (200, 20, 20)


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
