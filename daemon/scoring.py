"""How often the radar was right, by the labels that come after the answer. Pure.

Test, then train: a label is compared with the answer that was already given for its frame, so
the figure is about frames that nothing had learned from. Who sends frames a second time
(`--loop`) sends no labels with them, since they are not unseen.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rvsense.answer import Answer
from rvsense.frames import SceneClass
from rvsense.trust import Record, coverage_curve

T = TypeVar("T")
Key = tuple[str, int, int]
"""(site, epoch, stamp_ns) of a radar frame."""

VERSIONS_KEPT = 8
"""Model versions whose figures are remembered; as many as stay on disk by default."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that went out: by which model, and whether the class was withheld."""

    answer: Answer
    model: str
    withheld: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer whose truth is known."""

    right: bool
    withheld: bool
    confidence: float
    probability_of_truth: float
    ood_score: float | None


@dataclass(slots=True)
class Score:
    """Figures over the last `window` scored answers, and for each of the last model versions.

    An answer counts by its likeliest class, even where the daemon withheld it; answers given
    before there was a classifier do not count. `coverage` is the share not withheld.
    """

    window: int = 600
    remembered: int = 1024
    scored: int = 0
    versions: OrderedDict[str, Record] = field(default_factory=OrderedDict)
    _truths: OrderedDict[Key, SceneClass] = field(default_factory=OrderedDict)
    _answers: OrderedDict[Key, Given] = field(default_factory=OrderedDict)
    _recent: deque[Scored] = field(default_factory=deque)
    _told: dict[str, Any] | None = None

    def answered(self, key: Key, given: Given) -> None:
        """An answer was published."""
        truth = self._truths.pop(key, None)
        if truth is not None:
            self._count(truth, given)
        else:
            _remember(self._answers, key, given, self.remembered)

    def told(self, key: Key, truth: SceneClass) -> None:
        """The truth came in, before or after the answer."""
        given = self._answers.pop(key, None)
        if given is not None:
            self._count(truth, given)
        else:
            _remember(self._truths, key, truth, self.remembered)

    @property
    def accuracy(self) -> float | None:
        """Share of right answers in the window; None before the first."""
        return _share([item.right for item in self._recent])

    @property
    def coverage(self) -> float | None:
        """Share of answers in the window that were not withheld."""
        return _share([not item.withheld for item in self._recent])

    @property
    def recent(self) -> Record:
        """Accuracy, log-loss and calibration error over the window."""
        record = Record()
        for item in self._recent:
            record.add(item.confidence, item.probability_of_truth, right=item.right)
        return record

    def as_map(self) -> dict[str, Any]:
        """For status pages: the window, its coverage curves, and each version since it served.

        Asked for every second, and made anew when another answer has been scored.
        """
        if self._told is None:
            self._told = self._figures()
        return self._told

    def _figures(self) -> dict[str, Any]:
        unfamiliar = [
            (item.ood_score, item.right) for item in self._recent if item.ood_score is not None
        ]
        unsure = [(-item.confidence, item.right) for item in self._recent]
        recent = self.recent
        return {
            "scored": self.scored,
            "accuracy": recent.accuracy,
            "coverage": self.coverage,
            "log_loss_nats": recent.log_loss_nats,
            "ece": recent.calibration_error,
            "by_ood_score": coverage_curve(unfamiliar),
            "by_confidence": coverage_curve(unsure),
            "history": [{"model": name} | r.as_map() for name, r in self.versions.items()],
        }

    def _count(self, truth: SceneClass, given: Given) -> None:
        answer = given.answer
        if answer.label is None:
            return
        self._told = None
        right = answer.label == truth
        confidence, of_truth = answer.probs[answer.label], answer.probs.get(truth, 0.0)
        self.scored += 1
        self._recent.append(Scored(right, given.withheld, confidence, of_truth, answer.ood_score))
        if len(self._recent) > self.window:
            self._recent.popleft()
        version = self.versions.setdefault(given.model, Record())
        version.add(confidence, of_truth, right=right)
        if len(self.versions) > VERSIONS_KEPT:
            self.versions.popitem(last=False)


def _share(values: list[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _remember(items: OrderedDict[Key, T], key: Key, value: T, most: int) -> None:
    items[key] = value
    if len(items) > most:
        items.popitem(last=False)
