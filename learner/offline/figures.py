"""The figures of a report, written as PNG files in two themes; one is left out without data."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvsense.errors import ConfigError
from rvsense.learner.offline.scores import Metrics, simulated


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure on disk: on white, and on dark for those who read in the dark."""

    name: str
    path: Path
    dark_path: Path
    caption: str
    alt: str


def need_plots() -> None:
    """Check, before hours of training, that the report can be drawn after them.

    Raises:
        ConfigError: naming what is missing and how to install it.
    """
    for module, package in (("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"evaluate needs {package} ({error}): pip install 'rvsense[evaluate]'"
            ) from error


def write_figures(
    metrics: Metrics, embedding: Mapping[str, Any] | None, folder: Path
) -> list[Figure]:
    """Draw what the metrics hold; the same input gives the same bytes.

    Args:
        metrics: what metrics.json holds; optional blocks may be absent.
        embedding: `before` and `after`, (n, 2) floats, and `labels`, (n,) indices of CLASSES.
        folder: where NAME.png and NAME-dark.png go; made if need be.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    need_plots()
    from rvsense.learner.offline import charts, charts_by_class, charts_by_negatives, drawing

    plots = (
        charts.by_labels(metrics),
        charts_by_negatives.negatives(metrics),
        charts_by_negatives.information(metrics),
        charts.epochs(metrics),
        charts_by_class.embedding(metrics, embedding),
        charts_by_class.confusion(metrics),
        charts_by_class.class_pairs(metrics),
        charts_by_class.distance(metrics),
    )
    folder.mkdir(parents=True, exist_ok=True)
    note = "simulated data" if simulated(metrics) else ""
    written = []
    for plot in plots:
        if plot is None:
            continue
        path, dark_path = folder / f"{plot.name}.png", folder / f"{plot.name}-dark.png"
        drawing.save_png(plot, drawing.LIGHT, note, path)
        drawing.save_png(plot, drawing.DARK, note, dark_path)
        written.append(Figure(plot.name, path, dark_path, plot.caption, plot.alt))
    return written
