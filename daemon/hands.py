"""Carries out what the core decided, and counts it. I/O thread only."""

from collections.abc import Callable, Iterable

from rvsense import link
from rvsense.daemon.effects import (
    Classify,
    Effect,
    Examine,
    Learn,
    PairDropped,
    PairFound,
    Refused,
    Teach,
    Truth,
)
from rvsense.daemon.inference import Inference, Waiting
from rvsense.daemon.latest import Latest
from rvsense.daemon.metrics import Metrics
from rvsense.daemon.outbox import Outbox
from rvsense.daemon.scoring import Score
from rvsense.daemon.tally import Tally


class Hands:
    """Where effects go: the inference thread, the learner's outbox, the books.

    Args:
        outbox: None when nothing is learned.
        keep_exam: called when the exam has changed; must not block.
    """

    def __init__(
        self,
        inference: Inference,
        outbox: Outbox | None,
        tally: Tally,
        score: Score,
        metrics: Metrics,
        *,
        latest: Latest,
        keep_exam: Callable[[], None],
    ) -> None:
        self._keep_exam = keep_exam
        self._inference, self._outbox = inference, outbox
        self._tally, self._score, self._metrics = tally, score, metrics
        self._latest = latest

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Do each in turn."""
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Classify(frame, received_ns):
                dropped = self._inference.submit(Waiting(frame, received_ns))
                if dropped is not None:
                    self._tally.dropped["overload"] += 1
                    self._metrics.dropped(dropped.frame.site, "overload")
            case Refused(site, reason):
                self._tally.dropped[reason] += 1
                self._metrics.dropped(site, reason)
            case PairFound():
                self._tally.paired(effect)
                self._latest.paired(effect.site, effect.skew_ns / 1e6)
                self._metrics.paired(effect.site, effect.skew_ns / 1e9, effect.lag_ns / 1e9)
            case PairDropped(site, stream, reason):
                self._metrics.unpaired(stream, site, reason)
            case Learn(pair):
                if self._outbox is not None:
                    self._tally.learn += 1
                    self._outbox.put("pair", link.pack_pair(pair))
            case Teach(label):
                if self._outbox is not None:
                    self._tally.taught += 1
                    self._metrics.label_used("taught")
                    self._outbox.put("label", link.pack_label(label))
            case Examine():
                self._tally.examined += 1
                self._metrics.label_used("examined")
                self._keep_exam()
            case Truth(site, epoch, stamp_ns, label):
                self._score.told((site, epoch, stamp_ns), label)
