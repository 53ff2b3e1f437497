"""The paper's figure 4 in form, and the bound that explains it: what more negatives bring.

Each function makes one plot from the metrics, or None where they do not hold what it shows.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from rvsense.learner.offline.drawing import Plot, Theme, errorbar, legend, percent_axis, reach
from rvsense.learner.offline.scores import Metrics, Score, basis, by_number

BATCH_LOOKS: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "marker": "D"},
    {"linestyle": "--", "marker": "s", "markerfacecolor": "none", "markersize": 8},
    {"linestyle": ":", "marker": "^", "markerfacecolor": "none", "markersize": 9},
)
"""One method, so one colour: batch sizes differ by dash and marker."""


def negatives(metrics: Metrics) -> Plot | None:
    """Fig. 4: linear accuracy against K, for each batch size."""
    sweeps = _by_batch(metrics.get("k_sweep"))
    if not sweeps:
        return None

    def paint(sheet: Sheet, theme: Theme) -> None:
        axes = sheet.subplots()
        colour = theme.methods["linear"]
        for (batch, scores), look in zip(sweeps.items(), itertools.cycle(BATCH_LOOKS)):
            errorbar(
                axes, list(scores), scores.values(), color=colour, label=f"batch {batch}", **look
            )
        percent_axis(axes, reach(sweeps.values()), top=min(1.0, max(reach(sweeps.values()))))
        _axis_of_negatives(axes, sorted({k for scores in sweeps.values() for k in scores}))
        legend(axes)

    told = "; ".join(
        f"batch {batch}: " + ", ".join(f"{one} % at K = {k:g}" for k, one in scores.items())
        for batch, scores in sweeps.items()
    )
    return Plot(
        "accuracy-by-negatives",
        "Linear accuracy against the number of negatives",
        "Linear accuracy with all labels against the number of negatives K, one pre-training "
        f"per point and run (the paper's Fig. 4). {basis(metrics)}",
        f"Line chart. {told}.",
        paint,
    )


def information(metrics: Metrics) -> Plot | None:
    """The MI bound log(K + 1) − L against K, below the ceiling log(K + 1) (eq. 3)."""
    bounds = {
        batch: {float(k): value["bound"] for k, value in sorted(by_k.items(), key=_number)}
        for batch, by_k in sorted((metrics.get("mi") or {}).items(), key=_number)
        if by_k
    }
    if not bounds:
        return None

    def paint(sheet: Sheet, theme: Theme) -> None:
        axes = sheet.subplots()
        colour = theme.methods["linear"]
        for (batch, values), look in zip(bounds.items(), itertools.cycle(BATCH_LOOKS)):
            axes.plot(
                list(values), list(values.values()), color=colour, label=f"batch {batch}",
                **look,
            )  # fmt: skip
        ks = sorted({k for values in bounds.values() for k in values})
        dense = np.geomspace(ks[0], ks[-1], 100)
        axes.plot(
            dense, np.log(dense + 1), color=theme.muted, linestyle=(0, (1, 1.5)),
            label="ceiling log(K + 1)",
        )  # fmt: skip
        axes.set_ylim(0, 1.08 * math.log(ks[-1] + 1))
        _axis_of_negatives(axes, ks)
        axes.set_ylabel("mutual information (nats)")
        legend(axes)

    told = "; ".join(
        f"batch {batch}: " + ", ".join(f"{value:.2f} nats at K = {k:g}" for k, value in v.items())
        for batch, v in bounds.items()
    )
    return Plot(
        "information-by-negatives",
        "Bound on the information radar and camera share",
        "Lower bound on the mutual information of radar and camera, log(K + 1) less the "
        "contrastive loss (eq. 3), under its ceiling log(K + 1). Losses at different K cannot be "
        "compared, bounds can.",
        f"Line chart. {told}.",
        paint,
    )


def _by_batch(block: Mapping[str, Any] | None) -> dict[str, dict[float, Score]]:
    found = {batch: by_number(ks) for batch, ks in sorted((block or {}).items(), key=_number)}
    return {batch: scores for batch, scores in found.items() if scores}


def _axis_of_negatives(axes: Axes, ks: Sequence[float]) -> None:
    """In steps as in the paper's sweep, in octaves where it goes on to long queues."""
    if ks[-1] > 8 * ks[0]:
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
    axes.set_xticks(ks, [f"{k:g}" for k in ks])
    axes.set_xlabel("negatives K")


def _number(item: tuple[str, Any]) -> float:
    return float(item[0])
