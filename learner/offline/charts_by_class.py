"""What the classes look like: features, confusions, pairs and distance (the paper's Fig. 7).

Each function makes one plot from the metrics, or None where they do not hold what it shows.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Sheet
from numpy.typing import NDArray

from rvsense.frames import CLASSES
from rvsense.learner.offline.drawing import (
    CLASS_MARKERS,
    MARKERS,
    Plot,
    Theme,
    legend,
    percent_axis,
    tint,
)
from rvsense.learner.offline.scores import METHODS, Metrics, basis, simulated


def embedding(metrics: Metrics, points: Mapping[str, Any] | None) -> Plot | None:
    """Fig. 7: t-SNE of penultimate features before and after; arrays (n, 2), labels (n,)."""
    if points is None:
        return None
    labels = np.asarray(points["labels"])
    views = {
        "before self-supervision": np.asarray(points["before"]),
        "after, fine-tuned": np.asarray(points["after"]),
    }

    def paint(sheet: Sheet, theme: Theme) -> None:
        both = sheet.subplots(1, 2)
        for axes, (title, xy) in zip(both, views.items(), strict=True):
            for number, name in enumerate(CLASSES):
                of_class = xy[labels == number]
                axes.scatter(
                    *of_class.T, s=9, color=theme.classes[name], marker=CLASS_MARKERS[name],
                    linewidths=0, alpha=0.85, label=name,
                )  # fmt: skip
            axes.set_title(title, fontsize=9.5)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_box_aspect(1)
            axes.spines[:].set_visible(True)
            axes.spines[:].set_color(theme.grid)
        handles, names = both[0].get_legend_handles_labels()
        sheet.legend(
            handles, names, loc="outside lower left", ncols=4, markerscale=2,
            handletextpad=0.2, columnspacing=1.2,
        )  # fmt: skip

    where = "simulated test frames" if simulated(metrics) else "test frames"
    return Plot(
        "features",
        "Penultimate features in two dimensions",
        f"t-SNE of the penultimate features of {len(labels):,} {where}, before and after training "
        "(the paper's Fig. 7). Axes have no unit; only what lies near what means anything.",
        f"Two scatter plots of {len(labels):,} points in four classes: "
        f"{', '.join(CLASSES)}. Share of points whose nearest neighbour is of their own class: "
        + ", ".join(f"{100 * _purity(xy, labels):.0f} % {view}" for view, xy in views.items())
        + ".",
        paint,
        height_in=3.4,
    )


def confusion(metrics: Metrics) -> Plot | None:
    """One matrix a method: shares of each true class, in percent."""
    counts = _confusions(metrics)
    if not counts:
        return None

    def paint(sheet: Sheet, theme: Theme) -> None:
        row = sheet.subplots(1, len(counts), squeeze=False)[0]
        for axes, (method, matrix) in zip(row, counts.items(), strict=True):
            shares = 100 * _by_truth(matrix)
            axes.imshow(shares, cmap=tint(theme, method), vmin=0, vmax=100)
            for (i, j), share in np.ndenumerate(shares):
                colour = theme.paper if share > 55 else theme.ink
                axes.text(j, i, f"{share:.0f}", ha="center", va="center", color=colour)
            axes.set_title(METHODS[method], fontsize=9.5, color=theme.methods[method])
            axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
            axes.set_yticks(range(len(CLASSES)), CLASSES if axes is row[0] else [])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            axes.set_xlabel("answer")
        row[0].set_ylabel("truth")

    told = "; ".join(
        f"{METHODS[method]}: "
        + ", ".join(
            f"{name} {100 * share:.0f} %"
            for name, share in zip(CLASSES, np.diag(_by_truth(matrix)), strict=True)
        )
        for method, matrix in counts.items()
    )
    return Plot(
        "confusion",
        "What is taken for what",
        f"Answers in percent of each true class, all labels, all runs together. {basis(metrics)}",
        f"Confusion matrices. Right answers by class: {told}.",
        paint,
        height_in=2.9,
    )


def class_pairs(metrics: Metrics) -> Plot | None:
    """Accuracy between two classes at a time, the hardest pair on top."""
    counts = _confusions(metrics)
    if not counts:
        return None
    first, *_ = counts.values()
    pairs = sorted(
        itertools.combinations(range(len(CLASSES)), 2), key=lambda ij: -_between(first, *ij)
    )
    names = [f"{CLASSES[i]} or {CLASSES[j]}" for i, j in pairs]
    rates = {
        method: [_between(matrix, i, j) for i, j in pairs] for method, matrix in counts.items()
    }

    def paint(sheet: Sheet, theme: Theme) -> None:
        axes = sheet.subplots()
        heights = np.arange(len(pairs))
        columns = np.array(list(rates.values()))
        axes.hlines(
            heights, 100 * columns.min(axis=0), 100 * columns.max(axis=0),
            color=theme.grid, linewidth=3,
        )  # fmt: skip
        for method, values in rates.items():
            axes.plot(
                [100 * value for value in values], heights, linestyle="", markersize=7,
                marker=MARKERS[method], color=theme.methods[method], label=METHODS[method],
            )  # fmt: skip
        axes.set_yticks(heights, names)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("accuracy between the two (%)")
        legend(axes)

    told = "; ".join(
        f"{name}: " + ", ".join(f"{METHODS[m]} {100 * rate[i]:.1f} %" for m, rate in rates.items())
        for i, name in reversed(list(enumerate(names)))
    )
    return Plot(
        "class-pairs",
        "Which classes are hard to tell apart",
        "Of frames of two classes that were answered with one of the two, the share answered "
        f"right, hardest pair on top; all labels. {basis(metrics)}",
        f"Dot plot. {told}.",
        paint,
    )


def distance(metrics: Metrics) -> Plot | None:
    """Accuracy by the distance of the nearest object."""
    block = metrics.get("by_range") or {}
    edges = np.asarray(block.get("edges_m", ()), dtype=float)
    lines = {m: _rates(block[m]) for m in METHODS if m in block}
    frames = block.get("frames", [])
    if not lines or not any(np.isfinite(rates).any() for rates in lines.values()):
        return None

    def paint(sheet: Sheet, theme: Theme) -> None:
        axes = sheet.subplots()
        centres = (edges[:-1] + edges[1:]) / 2
        seen: list[float] = []
        for method, rates in lines.items():
            colour, known = theme.methods[method], np.isfinite(rates)
            axes.hlines(100 * rates, edges[:-1], edges[1:], color=colour, alpha=0.45, linewidth=3)
            axes.plot(
                centres[known], 100 * rates[known], color=colour, linewidth=1,
                marker=MARKERS[method], label=METHODS[method],
            )  # fmt: skip
            seen += list(rates[known])
        percent_axis(axes, [*seen, min(seen) - 0.05])
        for centre, n in zip(centres, frames, strict=True):
            axes.annotate(
                f"{n:,}", (centre, 0.02), xycoords=axes.get_xaxis_transform(), ha="center",
                color=theme.muted, fontsize=8,
            )  # fmt: skip
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xticks(edges)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("distance of the nearest object (m); numbers: test frames")
        legend(axes)

    told = "; ".join(
        f"{low:g} to {high:g} m: "
        + ", ".join(f"{METHODS[m]} {100 * rates[i]:.1f} %" for m, rates in lines.items())
        for i, (low, high) in enumerate(itertools.pairwise(edges))
        if all(math.isfinite(rates[i]) for rates in lines.values())
    )
    return Plot(
        "accuracy-by-distance",
        "Accuracy against distance",
        "Accuracy on frames with an object by the distance of the nearest one, all labels; a bin "
        f"without frames is left blank. {basis(metrics)}",
        f"Line chart. {told}.",
        paint,
    )


def _confusions(metrics: Metrics) -> dict[str, NDArray[np.float64]]:
    """Method to (4, 4) counts, rows truth; runs are already added up."""
    block = metrics.get("confusion") or {}
    return {m: np.asarray(block[m], dtype=float) for m in METHODS if block.get(m)}


def _by_truth(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return shares


def _between(matrix: NDArray[np.float64], i: int, j: int) -> float:
    """Share right among the frames of i and j that were answered i or j."""
    both = matrix[np.ix_([i, j], [i, j])]
    return float(np.trace(both) / max(both.sum(), 1))


def _rates(values: Any) -> NDArray[np.float64]:
    """Accuracies with NaN for what is None."""
    return np.asarray([math.nan if value is None else value for value in values], dtype=float)


def _purity(xy: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Share of (n, 2) points whose nearest other point has their label."""
    squares = ((xy[:, None] - xy[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(squares, np.inf)
    return float((labels[squares.argmin(axis=1)] == labels).mean())
