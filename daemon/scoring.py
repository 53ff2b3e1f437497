"""How often the radar was right, by the labels that come after the answer. Pure.

Test, then train: a label is compared with the answer that was already given for its frame, so
the figure is about frames that nothing had learned from. Who sends frames a second time
(`--loop`) sends no labels with them, since they are not unseen.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TypeVar

from rvsense.frames import SceneClass

T = TypeVar("T")
Key = tuple[str, int, int]
"""(site, epoch, stamp_ns) of a radar frame."""


@dataclass(slots=True)
class Score:
    """Accuracy over the last `window` scored answers.

    An answer counts by its likeliest class, even where the daemon withheld it; answers given
    before there was a classifier do not count. `coverage` is the share not withheld.
    """

    window: int = 600
    remembered: int = 1024
    scored: int = 0
    _truths: OrderedDict[Key, SceneClass] = field(default_factory=OrderedDict)
    _answers: OrderedDict[Key, tuple[str | None, bool]] = field(default_factory=OrderedDict)
    _recent: deque[tuple[bool, bool]] = field(default_factory=deque)

    def answered(self, key: Key, likeliest: str | None, withheld: bool) -> None:
        """An answer was published."""
        truth = self._truths.pop(key, None)
        if truth is not None:
            self._count(truth, likeliest, withheld)
        else:
            _remember(self._answers, key, (likeliest, withheld), self.remembered)

    def told(self, key: Key, truth: SceneClass) -> None:
        """The truth came in, before or after the answer."""
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._count(truth, *answer)
        else:
            _remember(self._truths, key, truth, self.remembered)

    @property
    def accuracy(self) -> float | None:
        """Share of right answers in the window; None before the first."""
        return _share([right for right, _ in self._recent])

    @property
    def coverage(self) -> float | None:
        """Share of answers in the window that were not withheld."""
        return _share([not withheld for _, withheld in self._recent])

    def _count(self, truth: SceneClass, likeliest: str | None, withheld: bool) -> None:
        if likeliest is None:
            return
        self.scored += 1
        self._recent.append((likeliest == truth, withheld))
        if len(self._recent) > self.window:
            self._recent.popleft()


def _share(values: list[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _remember(items: OrderedDict[Key, T], key: Key, value: T, most: int) -> None:
    items[key] = value
    if len(items) > most:
        items.popitem(last=False)
