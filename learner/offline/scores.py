"""Reading metrics.json: scores with their spread, by share of labels, and on what they rest. Pure.

Any block may be absent, for a run may have been interrupted or reduced; what is not there is
None or empty here, never a number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]

METHODS: dict[str, str] = {
    "finetune": "fine-tuned",
    "linear": "linear",
    "spread": "linear, labels spread",
    "supervised": "supervised",
}
"""What is compared, with its short name: all but the last begin with self-supervision."""


@dataclass(frozen=True, slots=True)
class Score:
    """An accuracy in [0, 1] over runs; `std` is None where there is only one."""

    mean: float
    std: float | None

    def __str__(self) -> str:
        """In percent, as in `74.2 ± 3.1`."""
        spread = "" if self.std is None else f" ± {100 * self.std:.1f}"
        return f"{100 * self.mean:.1f}{spread}"


def score(block: Metrics | None) -> Score | None:
    """A {mean, std, values} block; None when absent or not finite."""
    mean, std = _finite(block, "mean"), _finite(block, "std")
    if block is None or mean is None:
        return None
    return Score(mean, std if len(block.get("values", ())) > 1 else None)


def by_number(block: Mapping[str, Metrics] | None) -> dict[float, Score]:
    """A map keyed by a number as text (share of labels, K) to scores in growing order."""
    found = {float(key): score(value) for key, value in (block or {}).items()}
    return {key: value for key, value in sorted(found.items()) if value is not None}


def methods_by_share(metrics: Metrics) -> dict[str, dict[float, Score]]:
    """Method to share of labels to score, for the methods that have any."""
    found = {method: by_number(metrics.get(method)) for method in METHODS}
    return {method: scores for method, scores in found.items() if scores}


def share_text(share: float) -> str:
    """0.01 as `1 %`."""
    return f"{100 * share:g} %"


def simulated(metrics: Metrics) -> bool:
    """Whether the radar never saw the world."""
    return bool(metrics.get("dataset", {}).get("simulated"))


def basis(metrics: Metrics) -> str:
    """One sentence on how much data and how many runs a figure rests on."""
    tasks: Sequence[Metrics] = metrics.get("task", ())
    parts = ["Simulated data"] if simulated(metrics) else []
    if tasks:
        frames = _span([task["test_frames"] for task in tasks])
        sequences = _span([task["test_sequences"] for task in tasks])
        parts.append(f"tested on {frames} frames of {sequences} sequences {_apart(metrics)}")
    seeds = len(metrics.get("seeds", ()))
    if seeds:
        parts.append("one run" if seeds == 1 else f"mean and standard deviation of {seeds} runs")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _finite(block: Metrics | None, key: str) -> float | None:
    value = (block or {}).get(key)
    return float(value) if value is not None and math.isfinite(value) else None


def _apart(metrics: Metrics) -> str:
    return {
        "sequence": "never trained on",
        "site": "from places never trained on",
        "frame": "whose other frames were trained on",
    }.get(metrics.get("split", ""), "held out")


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
