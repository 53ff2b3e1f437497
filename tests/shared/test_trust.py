"""Calibration error, log-loss and the coverage curve against plain formulas."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.trust import COVERAGES, ECE_BINS, Record, calibration_error, coverage_curve

Answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def test_by_hand() -> None:
    """Two bins: .9 confident and half right (gap .4), .5 confident and all right (gap .5)."""
    answers = [(0.9, True), (0.9, False), (0.5, True), (0.5, True)]
    assert calibration_error(answers) == pytest.approx(0.45)
    assert calibration_error([]) is None


@given(Answers)
def test_error_is_that_of_the_formula(answers: list[tuple[float, bool]]) -> None:
    """Σ |B|/n · |accuracy(B) - confidence(B)| over the fifteen bins, written out."""
    wanted = 0.0
    for b in range(ECE_BINS):
        inside = [a for a in answers if min(int(a[0] * ECE_BINS), ECE_BINS - 1) == b]
        if inside:
            gap = sum(right for _, right in inside) - sum(c for c, _ in inside)
            wanted += len(inside) / len(answers) * abs(gap / len(inside))
    assert calibration_error(answers) == pytest.approx(wanted, abs=1e-9)


def test_log_loss_and_accuracy() -> None:
    """Of 90 % for the truth and 10 % for it; a probability of 0 stays finite."""
    record = Record()
    assert (record.accuracy, record.log_loss_nats, record.calibration_error) == (None, None, None)
    record.add(0.9, 0.9, right=True)
    record.add(0.9, 0.1, right=False)
    assert record.accuracy == 0.5
    assert record.log_loss_nats == pytest.approx(-(math.log(0.9) + math.log(0.1)) / 2)
    record.add(1.0, 0.0, right=False)
    assert math.isfinite(record.as_map()["log_loss_nats"])
    assert record.as_map()["scored"] == 3


def test_calibrated_answers_have_a_small_error_and_overconfident_ones_a_large() -> None:
    """Right as often as they say: near 0. Sure of .95 and right at .6: .35."""
    rng = random.Random(0)
    honest = [(c, rng.random() < c) for c in (rng.uniform(0.25, 1.0) for _ in range(20_000))]
    boastful = [(0.95, rng.random() < 0.6) for _ in range(20_000)]
    honest_error, boastful_error = calibration_error(honest), calibration_error(boastful)
    assert honest_error is not None
    assert honest_error < 0.02
    assert boastful_error == pytest.approx(0.35, abs=0.02)


def test_coverage_curve() -> None:
    """Where distrust tells right from wrong, each step that gives fewer answers gains."""
    answers = [(float(n), n < 70) for n in range(100)]
    random.Random(0).shuffle(answers)
    curve = coverage_curve(answers)
    assert [point["coverage"] for point in curve] == list(COVERAGES)
    assert [point["accuracy"] for point in curve] == pytest.approx(
        [0.7, 70 / 95, 70 / 90, 70 / 80, 1.0, 1.0]
    )
    assert coverage_curve([]) == []
    assert [point["accuracy"] for point in coverage_curve([(0.0, True)])] == [1.0] * len(COVERAGES)
