"""How far answers can be trusted: calibration error, log-loss, coverage against accuracy. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

ECE_BINS = 15
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
LEAST_PROBABILITY = 1e-6
"""A certain answer that is wrong costs 13.8 nats, not infinitely many."""


@dataclass(slots=True)
class Record:
    """Running figures over answers whose truth is known; a few numbers, however many answers.

    The calibration error is the expected one with 15 equal bins of confidence (1706.04599).
    """

    answers: int = 0
    right: int = 0
    _loss_nats: float = 0.0
    _gaps: list[float] = field(default_factory=lambda: [0.0] * ECE_BINS)

    def add(self, confidence: float, probability_of_truth: float, *, right: bool) -> None:
        """One answer: the probability of its likeliest class, and that of the true class."""
        self.answers += 1
        self.right += right
        self._loss_nats -= math.log(max(probability_of_truth, LEAST_PROBABILITY))
        self._gaps[min(int(confidence * ECE_BINS), ECE_BINS - 1)] += right - confidence

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None before the first."""
        return self.right / self.answers if self.answers else None

    @property
    def log_loss_nats(self) -> float | None:
        """Mean negative log-probability of the truth; None before the first answer."""
        return self._loss_nats / self.answers if self.answers else None

    @property
    def calibration_error(self) -> float | None:
        """Σ over bins of |right - confidence|, per answer; None before the first answer."""
        return sum(map(abs, self._gaps)) / self.answers if self.answers else None

    def as_map(self) -> dict[str, Any]:
        """For status pages."""
        return {
            "scored": self.answers,
            "accuracy": self.accuracy,
            "log_loss_nats": self.log_loss_nats,
            "ece": self.calibration_error,
        }


def calibration_error(answers: Iterable[tuple[float, bool]]) -> float | None:
    """Expected calibration error of (confidence, right) answers; None without any."""
    record = Record()
    for confidence, right in answers:
        record.add(confidence, 1.0, right=right)
    return record.calibration_error


def coverage_curve(answers: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    """Accuracy when only the most trusted share of the answers is given.

    `answers` are (distrust, right), where less distrust comes first: an out-of-distribution
    score, or minus the confidence. Empty without answers.
    """
    if not answers:
        return []
    trusted = [right for _, right in sorted(answers, key=lambda answer: answer[0])]
    points = []
    for coverage in COVERAGES:
        given = trusted[: math.ceil(coverage * len(trusted))]
        points.append({"coverage": coverage, "accuracy": sum(given) / len(given)})
    return points
