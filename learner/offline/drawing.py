"""How every figure looks: size, type, two themes, colours by method and class, direct labels.

The hues follow Okabe and Ito's palette and Tol's `bright`, which the colour-blind can tell
apart, darkened or lightened until text in them is legible; shape and dash say the same again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Sheet

from rvsense.atomic import write_file
from rvsense.frames import CLASSES
from rvsense.learner.offline.scores import Score

WIDTH_IN = 5.2
"""With type of 9.5 points: legible on a telephone, not loud on a desk."""
DOTS_PER_INCH = 220


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours on one background."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    methods: Mapping[str, str]
    classes: Mapping[str, str]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c2024",
    muted="#5b6570",
    grid="#e3e6ea",
    methods={
        "finetune": "#00775a",
        "linear": "#0067a3",
        "spread": "#8a3a86",
        "supervised": "#b84a00",
    },
    classes=dict(zip(CLASSES, ("#a9afb6", "#aa3377", "#b59b00", "#2fa4cc"), strict=True)),
)
DARK = Theme(
    name="dark",
    paper="#181b1f",
    ink="#e8eaed",
    muted="#a3abb4",
    grid="#31363c",
    methods={
        "finetune": "#3cc79b",
        "linear": "#5ab0e8",
        "spread": "#d994d3",
        "supervised": "#f0883e",
    },
    classes=dict(zip(CLASSES, ("#858c94", "#e06fb0", "#d9c34a", "#66ccee"), strict=True)),
)
MARKERS: dict[str, str] = {"finetune": "o", "linear": "D", "spread": "^", "supervised": "s"}
CLASS_MARKERS: dict[str, str] = dict(zip(CLASSES, "o^sD", strict=True))

Paint = Callable[[Sheet, Theme], None]


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that is not yet drawn: what it is called, says and shows."""

    name: str
    title: str
    caption: str
    alt: str
    paint: Paint
    height_in: float = 3.4


def save_png(plot: Plot, theme: Theme, note: str, path: Path) -> None:
    """Draw on a sheet of the theme; the same plot gives the same bytes, whoever draws it."""
    with _style(theme):
        sheet = Sheet(figsize=(WIDTH_IN, plot.height_in), layout="constrained")
        plot.paint(sheet, theme)
        sheet.suptitle(plot.title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        if note:
            sheet.supxlabel(note, x=0.99, ha="right", fontsize=7.5, color=theme.muted)
        drawn = BytesIO()
        sheet.savefig(drawn, dpi=DOTS_PER_INCH, metadata={"Software": None})
    write_file(path, drawn.getvalue(), mode=0o644)


@contextmanager
def _style(theme: Theme) -> Iterator[None]:
    # From the library's defaults, not from what the user's matplotlibrc makes of them.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.size": 9.5,
                "axes.labelsize": 9.5,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.linewidth": 0.8,
                "lines.linewidth": 1.8,
                "lines.markersize": 5.5,
                "xtick.major.size": 0,
                "xtick.minor.size": 0,
                "ytick.major.size": 0,
                "legend.frameon": False,
                "errorbar.capsize": 2.5,
                "figure.constrained_layout.h_pad": 0.06,
                "text.color": theme.ink,
                "axes.labelcolor": theme.ink,
                "axes.edgecolor": theme.muted,
                "xtick.color": theme.muted,
                "ytick.color": theme.muted,
                "grid.color": theme.grid,
                "axes.facecolor": theme.paper,
                "figure.facecolor": theme.paper,
                "savefig.facecolor": theme.paper,
            }
        )
        yield


def percent_axis(axes: Axes, values: Sequence[float], *, top: float = 1.0) -> None:
    """Accuracy in percent from the ten below the lowest of `values` (in [0, 1])."""
    low = max(0.0, (min(values) * 100 - 3) // 10 * 10)
    axes.set_ylim(low, 100 * top + 0.03 * (100 - low))
    axes.set_ylabel("accuracy (%)")


def errorbar(axes: Axes, x: Sequence[float], scores: Iterable[Score], **look: Any) -> None:
    """Scores in percent with their deviations, where known."""
    scores = list(scores)
    spread = [100 * (one.std or 0) for one in scores]
    axes.errorbar(x, [100 * one.mean for one in scores], yerr=spread, elinewidth=1.2, **look)


def reach(groups: Iterable[Mapping[Any, Score]]) -> list[float]:
    """Both ends of every error bar, to fit the axis to."""
    scores = [one for group in groups for one in group.values()]
    return [one.mean + sign * (one.std or 0) for one in scores for sign in (-1, 1)]


def legend(axes: Axes) -> None:
    """One row above the axes, where it hides nothing."""
    n = len(axes.get_legend_handles_labels()[1])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=n, borderaxespad=0.2)


@dataclass(frozen=True, slots=True)
class Label:
    """Text beside the right end of a line that ends at height `y`."""

    y: float
    text: str
    colour: str


def label_right(axes: Axes, labels: Sequence[Label], *, gap: float = 0.068) -> None:
    """Write labels right of the axes, moved apart where their lines end close together."""
    low, high = axes.get_ylim()
    places = spread([label.y for label in labels], gap * (high - low), low, high)
    where: Any = axes.get_yaxis_transform()
    for label, place in zip(labels, places, strict=True):
        axes.annotate(
            label.text,
            xy=(1.0, label.y),
            xytext=(1.055, place),
            xycoords=where,
            textcoords=where,
            color=label.colour,
            va="center",
            annotation_clip=False,
            fontsize=9,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "lw": 0.7,
                "shrinkA": 1,
                "relpos": (0, 0.5),  # never through a neighbour's text
            },
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in their order, at least `gap` apart, within [low, high].

    Too many for the room are spaced evenly over it.
    """
    n = len(wanted)
    gap = min(gap, (high - low) / max(n - 1, 1))
    order = sorted(range(n), key=lambda i: wanted[i])
    # Less its rank's share of the gaps, a place only must not fall: pool adjacent violators.
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * gap])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    levels = [fmean(block) for block in blocks for _ in block]
    top = high - (n - 1) * gap
    places = [0.0] * n
    for rank, i in enumerate(order):
        places[i] = min(max(levels[rank], low), top) + rank * gap
    return places


def tint(theme: Theme, method: str) -> LinearSegmentedColormap:
    """From the paper's colour to the method's own."""
    return LinearSegmentedColormap.from_list(method, [theme.paper, theme.methods[method]])
