"""Figures in form and in two themes, the same bytes each time, and legible."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from rvsense.errors import ConfigError
from rvsense.learner.offline.drawing import DARK, LIGHT, spread
from rvsense.learner.offline.figures import Figure, need_plots, write_figures


def test_a_full_run_has_every_figure_in_both_themes(drawn: list[Figure]) -> None:
    """Figures 4 to 7, the bound, and what is asked beyond them, each with words for both."""
    assert [figure.name for figure in drawn] == [
        "accuracy-by-labels",
        "accuracy-by-negatives",
        "information-by-negatives",
        "loss-by-epochs",
        "features",
        "confusion",
        "class-pairs",
        "accuracy-by-distance",
    ]
    for figure in drawn:
        for path in (figure.path, figure.dark_path):
            assert path.read_bytes().startswith(b"\x89PNG")
        assert figure.path.read_bytes() != figure.dark_path.read_bytes()
        assert figure.alt
        assert "imulated" in figure.caption or figure.name == "information-by-negatives"


def test_the_same_input_gives_the_same_bytes(
    metrics: dict[str, Any],
    embedding: dict[str, Any],
    drawn: list[Figure],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also on another day, where the user has a taste of his own in figures."""
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "font.size", 31.0)
    again = write_figures(metrics, embedding, tmp_path)
    assert mpl.rcParams["font.size"] == 31.0
    for one, other in zip(drawn, again, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes(), one.name
        assert one.dark_path.read_bytes() == other.dark_path.read_bytes(), one.name
        assert b"Software" not in one.path.read_bytes()
        assert b"tIME" not in one.path.read_bytes()


def test_alt_texts_give_the_numbers(drawn: list[Figure]) -> None:
    """Who cannot see the figure is told what it shows."""
    alt = {figure.name: figure.alt for figure in drawn}
    assert "supervised: 61.0 ± 4.0 % with 1 % of labels" in alt["accuracy-by-labels"]
    assert "batch 128: 78.2 ± 1.2 % at K = 128" in alt["accuracy-by-negatives"]
    assert "15 to 20 m: linear 77.0 %, supervised 74.0 %" in alt["accuracy-by-distance"]
    assert "20 to 25 m" not in alt["accuracy-by-distance"]
    assert "car 87 %" in alt["confusion"]
    assert "after 9 epochs by fine-tuning" in alt["loss-by-epochs"]
    assert re.search(r"2\d % before .* 9\d % after", alt["features"])


def test_a_figure_shows_the_methods_that_are_there(metrics: dict[str, Any], tmp_path: Path) -> None:
    """One method of three, one batch size of two, a bin without frames: drawn without them."""
    for key in ("finetune", "init_linear", "teacher_linear", "mi", "by_range", "efficiency"):
        del metrics[key]
    del metrics["curves"]["finetune"], metrics["confusion"]["linear"], metrics["k_sweep"]["64"]
    names = {figure.name: figure.alt for figure in write_figures(metrics, None, tmp_path)}
    assert {"information-by-negatives", "features", "accuracy-by-distance"}.isdisjoint(names)
    assert "fine-tuned" not in names["accuracy-by-labels"]
    assert "fine-tuned" not in names["loss-by-epochs"]
    assert "linear:" not in names["confusion"]
    assert "batch 64" not in names["accuracy-by-negatives"]


def test_labels_are_spread() -> None:
    """Near their lines, in order, apart, inside; too many share the room evenly."""
    assert spread([10, 50, 90], 5, 0, 100) == [10, 50, 90]
    assert spread([50, 49, 51], 4, 0, 100) == pytest.approx([50, 46, 54])
    assert spread([99, 100], 4, 0, 100) == pytest.approx([96, 100])
    assert spread([0, 1], 4, 0, 100) == pytest.approx([0, 4])
    assert spread([5, 5, 5], 90, 0, 100) == pytest.approx([0, 50, 100])
    assert spread([], 4, 0, 100) == []


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_text_in_the_colour_of_a_method_is_legible(theme: Any) -> None:
    """Contrast of at least 4.5 to the background (WCAG 2.2, AA)."""
    for colour in (theme.ink, theme.muted, *theme.methods.values()):
        dark, light = sorted((luminance(colour), luminance(theme.paper)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


@pytest.mark.parametrize("module", ["matplotlib", "sklearn"])
def test_what_is_not_installed_is_named_with_the_remedy(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the hours of training."""
    need_plots()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'rvsense\[evaluate\]'"):
        need_plots()
