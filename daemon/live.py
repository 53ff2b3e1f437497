"""The line that a person at a terminal watches. Pure: figures to text."""

from collections.abc import Mapping
from typing import Any


def live_line(status: Mapping[str, Any], width: int) -> str:
    """Frames, pairs, skew, steps, MI bound, instance top-1, accuracy, latency; cut to `width`."""
    learner, score = status["learner"]["figures"], status["score"]
    parts = [
        f"{status['serving']['answered']} frames",
        f"{status['pairing']['pairs']} pairs",
        f"skew {_figure(status['pairing']['skew_p50_ms'], '.1f')} ms",
        f"step {learner.get('step', 0)}",
        f"MI ≥ {_figure(learner.get('mi_bound'), '.2f')}"
        f"/{_figure(learner.get('mi_ceiling'), '.2f')} nats",
        f"top-1 {_percent(learner.get('top1'))}",
        f"accuracy {_percent(score['accuracy'])}",
        f"p99 {_figure(status['serving']['latency_p99_ms'], '.0f')} ms",
    ]
    model = status["model"]
    parts.append("no model yet" if model is None else f"model {model['step']}")
    return "  ".join(parts)[: max(width - 1, 20)]


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
