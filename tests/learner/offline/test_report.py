"""The page stands alone, says what the metrics say, and names what they do not."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rvsense.learner.offline.figures import Figure, write_figures
from rvsense.learner.offline.report import BLOCKS, write_report
from rvsense.learner.offline.verdict import claims, headline


class Page(HTMLParser):
    """The start tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def report(metrics: dict[str, Any], figures: list[Figure], folder: Path) -> str:
    """The page as text."""
    write_report(metrics, figures, folder / "report.html")
    return (folder / "report.html").read_text()


def test_the_page_stands_alone_and_can_be_read_by_all(
    metrics: dict[str, Any], drawn: list[Figure], tmp_path: Path
) -> None:
    """Nothing from another host; alt texts, header cells, a language, one h1; a dark theme."""
    text = report(metrics, drawn, tmp_path)
    found = Page(text)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)
    for tag, key in (("img", "src"), ("source", "srcset")):
        assert len(found.all(tag)) == len(drawn)
        assert all((a[key] or "").startswith("data:image/png;base64,") for a in found.all(tag))
    assert [a["alt"] for a in found.all("img")] == [figure.alt for figure in drawn]
    assert found.all("th")
    assert all(a.get("scope") in ("row", "col") for a in found.all("th"))
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.all(
        "meta"
    )
    assert "prefers-color-scheme: dark" in text
    assert report(metrics, drawn, tmp_path) == text


def test_the_page_opens_with_the_verdict(
    metrics: dict[str, Any], drawn: list[Figure], tmp_path: Path
) -> None:
    """Before tables and figures, and says at once that the data are simulated."""
    text = html.unescape(report(metrics, drawn, tmp_path))
    places = [
        text.index(part)
        for part in ("simulated data", headline(metrics), "<table", "<img", "0123abcd")
    ]
    assert places == sorted(places)
    assert "(about 64 frames)" in headline(metrics)
    assert "Missing:" not in text


def test_names_are_text(metrics: dict[str, Any], tmp_path: Path) -> None:
    """A folder's name is not markup."""
    metrics["dataset"]["name"] = '<script>"&'
    text = report(metrics, [], tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;&quot;&amp;" in text


@pytest.mark.parametrize("key", BLOCKS)
def test_a_missing_block_is_named_with_the_reason(
    metrics: dict[str, Any], key: str, tmp_path: Path
) -> None:
    """Nothing is drawn or claimed of it, and the rest stands."""
    del metrics[key]
    metrics["missing"] = {key: "no time for it"}
    assert f"Missing: {BLOCKS[key]} (no time for it)." in html.unescape(
        report(metrics, [], tmp_path)
    )


def test_an_interrupted_run_still_reports(metrics: dict[str, Any], tmp_path: Path) -> None:
    """With no block at all: no figure, no verdict, every block named, no number made up."""
    for key in metrics.keys() - {"version", "dataset", "seeds", "split"}:
        del metrics[key]
    figures = write_figures(metrics, None, tmp_path)
    assert figures == []
    assert {claim.outcome for claim in claims(metrics)} == {"not measured"}
    text = html.unescape(report(metrics, figures, tmp_path))
    assert text.count("Missing:") == len(BLOCKS) + 1
    assert "Fig. 7; the run was interrupted" in text
    assert not re.search(r"\d+\.\d ±", text)


def test_limits_are_said_where_they_apply(metrics: dict[str, Any], tmp_path: Path) -> None:
    """Simulated data, a split by frame, a reduced budget, a teacher that moved."""
    limited = metrics | {"split": "frame", "budget": "quick", "seeds": [0]}
    limited["teacher_sha256"] = {"before": "ab" * 32, "after": "cd" * 32}
    text = report(limited, [], tmp_path)
    for words in ("are simulated", "near copies", "reduced budget", "One run", "CHANGED"):
        assert words in text, words
    metrics["dataset"]["simulated"] = False
    text = report(metrics, [], tmp_path)
    for words in ("imulated", "near copies", "reduced budget", "One run", "CHANGED"):
        assert words not in text, words
