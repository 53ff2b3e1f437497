"""The paper's figures 5 and 6 in form: what labels and epochs self-supervision saves.

Each function makes one plot from the metrics, or None where they do not hold what it shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Sheet

from rvsense.learner.offline.drawing import (
    MARKERS,
    Label,
    Plot,
    Theme,
    errorbar,
    label_right,
    legend,
    percent_axis,
    reach,
)
from rvsense.learner.offline.scores import (
    METHODS,
    Metrics,
    Score,
    basis,
    by_number,
    methods_by_share,
    score,
    share_text,
)


def by_labels(metrics: Metrics) -> Plot | None:
    """Fig. 5: accuracy against the share of labels, with the ceiling and the controls."""
    lines = methods_by_share(metrics)
    if not lines:
        return None
    init = by_number(metrics.get("init_linear"))
    levels = {
        "teacher on images": score(metrics.get("teacher_linear")),
        "raw heatmap": score(metrics.get("raw_linear")),
    }
    known = {name: value for name, value in levels.items() if value}

    def paint(sheet: Sheet, theme: Theme) -> None:
        axes = sheet.subplots()
        labels = []
        for name, level in known.items():
            dash = (0, (5, 3)) if name.startswith("teacher") else (0, (1, 1.5))
            axes.axhline(100 * level.mean, color=theme.muted, linestyle=dash, linewidth=1.2)
            labels.append(Label(100 * level.mean, name, theme.muted))
        if init:
            errorbar(axes, [100 * s for s in init], init.values(),
                     color=theme.muted, marker="x", linestyle="-.", linewidth=1.2)  # fmt: skip
            labels.append(
                Label(100 * list(init.values())[-1].mean, "untrained, linear", theme.muted)
            )
        for method, scores in lines.items():
            colour = theme.methods[method]
            errorbar(axes, [100 * s for s in scores], scores.values(),
                     color=colour, marker=MARKERS[method])  # fmt: skip
            labels.append(Label(100 * list(scores.values())[-1].mean, METHODS[method], colour))
        every: list[Mapping[Any, Score]] = [*lines.values(), init, known]
        percent_axis(axes, reach(every))
        shares = sorted({s for scores in lines.values() for s in scores})
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks([100 * s for s in shares], [f"{100 * s:g}" for s in shares])
        axes.set_xlim(100 * shares[0] * 0.85, 100 * shares[-1] * 1.12)
        axes.set_xlabel("share of labels (%)")
        label_right(axes, labels)

    told = "; ".join(
        f"{METHODS[method]}: "
        + ", ".join(f"{one} % with {share_text(share)} of labels" for share, one in scores.items())
        for method, scores in lines.items()
    )
    level_told = "".join(f"; {name}: {value} %" for name, value in known.items())
    return Plot(
        "accuracy-by-labels",
        "Accuracy against the share of labels",
        "The self-supervised encoder, fine-tuned or under a linear layer, against supervised "
        "training from the same initialisation (the paper's Fig. 5). Labels spread: the camera, "
        "taught these labels alone, labels the other training frames for the linear layer, which "
        "answers from radar. Grey: the teacher's own "
        "features of the images, which is the ceiling a pupil can learn from, and the controls: "
        "linear layers on the raw heatmap and on the encoder before any training. "
        f"{basis(metrics)}",
        f"Line chart on a logarithmic axis. {told}{level_told}.",
        paint,
        height_in=3.8,
    )


def epochs(metrics: Metrics) -> Plot | None:
    """Fig. 6: test loss and accuracy against epochs, fine-tuned and supervised."""
    curves = {m: c for m in METHODS if (c := (metrics.get("curves") or {}).get(m)) and c["epochs"]}
    if not curves:
        return None
    efficiency = metrics.get("efficiency") or {}
    marks = {
        method: epoch
        for method in curves
        if (epoch := efficiency.get(f"{method}_epochs")) is not None
    }

    def paint(sheet: Sheet, theme: Theme) -> None:
        upper, lower = sheet.subplots(2, sharex=True)
        for method, curve in curves.items():
            colour = theme.methods[method]
            for axes, name, scale in ((upper, "loss", 1), (lower, "accuracy", 100)):
                runs = scale * np.array(curve[name], dtype=float)
                axes.plot(curve["epochs"], runs.T, color=colour, alpha=0.25, linewidth=0.8)
                axes.plot(curve["epochs"], runs.mean(axis=0), color=colour, label=METHODS[method])
                if method in marks:
                    axes.axvline(marks[method], color=colour, linestyle=(0, (2, 2)), linewidth=1.2)
            if method in marks:
                upper.annotate(
                    f" epoch {marks[method]:.3g}", (marks[method], 0.97), color=colour, va="top",
                    xycoords=upper.get_xaxis_transform(), fontsize=9,
                )  # fmt: skip
        upper.set_ylim(bottom=0)
        upper.set_ylabel("test loss (nats)")
        lower.set_ylabel("accuracy (%)")
        lower.set_xlabel("epochs")
        legend(upper)

    by = {"finetune": "by fine-tuning", "supervised": "by supervised training"}
    when = " and ".join(
        f"after {epoch:g} epochs {by[method]}" for method, epoch in marks.items() if method in by
    )
    level = f"The supervised level is reached (dashed) {when}." if when else ""
    if "finetune" in curves and "finetune" not in marks:
        level = f"Fine-tuning does not reach the supervised level. {level}"
    told = "; ".join(
        f"{METHODS[method]}: loss from {_mean(c['loss'], 0):.2f} to {_mean(c['loss'], -1):.2f}, "
        f"accuracy from {100 * _mean(c['accuracy'], 0):.1f} to "
        f"{100 * _mean(c['accuracy'], -1):.1f} %"
        for method, c in curves.items()
    )
    return Plot(
        "loss-by-epochs",
        "How soon training gets there",
        "Test loss and accuracy against epochs with all labels (the paper's Fig. 6); thin lines "
        f"are single runs. {level} {basis(metrics)}",
        f"Two line charts above each other. {told}. {level}",
        paint,
        height_in=4.3,
    )


def _mean(runs: Sequence[Sequence[float]], i: int) -> float:
    return float(np.mean([run[i] for run in runs]))
