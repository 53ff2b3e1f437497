"""Figures of training: running ones, smoothed over the last steps, and what is held now."""

from collections.abc import Mapping
from typing import Any

from rvsense.learner import diagnostics, memory
from rvsense.learner.balance import ClassBalanced
from rvsense.learner.step import Outcome
from rvsense.learner.trainer import Trainer

WINDOW_STEPS = 20
SLOW_EVERY_STEPS = 10
"""Uniformity is over all pairs of queries: not at every step."""


class Figures:
    """Exponential means over WINDOW_STEPS; a figure that is not yet known is None."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def take(self, trainer: Trainer, outcome: Outcome) -> None:
        """Take one finite step into account; one without negatives says nothing."""
        logits, q = outcome.logits, outcome.queries
        negatives = diagnostics.negatives_per_query(logits)
        if not outcome.updated or negatives == 0:
            return
        news = {
            "loss": outcome.loss,
            "negatives": negatives,
            "mi_bound": diagnostics.mi_bound(outcome.info_nce, negatives),
            "mi_ceiling": diagnostics.mi_ceiling(negatives),
            "top1": diagnostics.instance_accuracy(logits, 1),
            "top5": diagnostics.instance_accuracy(logits, 5),
            # For unit vectors |q - k|² = 2 - 2 q·k, and column 0 holds q·k / τ.
            "alignment": 2 - 2 * float(logits[:, 0].mean()) * trainer.learning.temperature,
            "query_std": diagnostics.collapse(q),
        }
        if trainer.counters.step % SLOW_EVERY_STEPS == 1:
            news["uniformity"] = diagnostics.uniformity(q)
        self._blend(news)

    def values(self) -> dict[str, float]:
        """All figures known so far."""
        return dict(self._means)

    def _blend(self, news: Mapping[str, float]) -> None:
        for name, value in news.items():
            old = self._means.get(name, value)
            self._means[name] = old + (value - old) / WINDOW_STEPS


def figures_of(trainer: Trainer) -> dict[str, Any]:
    """What a trainer holds now, and the memory that its process takes for it."""
    return {
        "pool": trainer.pool.fill,
        "pool_capacity": trainer.pool.capacity,
        "ring": trainer.ring.fill,
        "queue": trainer.queue.fill,
        "queue_capacity": trainer.queue.size,
        "labels": len(trainer.labels),
        "pseudo_labels": len(trainer.pseudo),
        **_collated(trainer),
        "learning_rate": trainer.learning_rate,
        "batch": trainer.batch_size.now,
        "rss_bytes": memory.resident_bytes(),
        "device_bytes": memory.device_bytes(trainer.device),
        "teacher_weights": trainer.teacher.weights,
    }


def _collated(trainer: Trainer) -> dict[str, Any]:
    """What the detector has looked at and left out, how long a look takes, what the pool holds."""
    if trainer.collation is None:
        return {}
    values: dict[str, Any] = {
        **trainer.collation.counts,
        "detector_ms": trainer.collation.detector.ms,
    }
    if isinstance(trainer.policy, ClassBalanced):
        values["pool_scenes"] = trainer.policy.counts(trainer.pool.fill)
    return values
