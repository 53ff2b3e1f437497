"""The table of sites on `top`: what each answers, how its streams stand, what was lost."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from rvsense.terminal.clockcheck import NEAR_TOLERANCE
from rvsense.terminal.words import DASH, duration, number

OLD_S = 5.0
ANSWER_COLUMNS = 20
"""The longest reason to abstain, and a mark."""
OTHER_COLUMNS = 69
"""All but the names of the sites."""


def sites_table(status: Mapping[str, Any], *, rows: int, columns: int) -> Table | Text:
    """As many sites as fit into `rows` lines below the head; the rest are counted."""
    if not status["sites"]:
        return Text("no frame has come yet", style="dim")
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("SITE", no_wrap=True, max_width=max(columns - OTHER_COLUMNS, 8))
    table.add_column("RADAR, CAMERA", justify="right", no_wrap=True)
    table.add_column("ANSWER", no_wrap=True, width=ANSWER_COLUMNS)
    for name, width in (("OFFSET", 9), ("SKEW", 7), ("AGE", 6), ("UNPAIRED", 8)):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    names = sorted(status["sites"])
    shown = names if len(names) <= rows else names[: max(rows - 1, 0)]
    for name in shown:
        table.add_row(*_row(name, status["sites"][name], status["pairing"]["sites"][name]))
    if len(shown) < len(names):
        table.add_row(Text(f"+{len(names) - len(shown)} more", style="dim"))
    return table


def _row(name: str, site: Mapping[str, Any], ledger: Mapping[str, Any]) -> list[Text | str]:
    left_ms, tolerance_ms = site["skew_left_p99_ms"], site["tolerance_ms"]
    wide = left_ms is not None and tolerance_ms and left_ms > NEAR_TOLERANCE * tolerance_ms
    unpaired = sum(sum(ledger[stream]["dropped"].values()) for stream in ("radar", "camera"))
    age_s = site["radar_age_s"]
    return [
        Text(name, style="bold"),
        f"{number(site['radar_hz'], '.1f')}, {number(site['camera_hz'], '.1f')} Hz",
        _answer(site["answer"]),
        number(site["offset_ms"], "+.1f", " ms"),
        Text(number(left_ms, ".1f", " ms"), style="yellow" if wide else ""),
        Text(duration(age_s), style="red" if age_s is None or age_s > OLD_S else ""),
        str(unpaired),
    ]


def _answer(answer: Mapping[str, Any] | None) -> Text:
    """The class with its confidence, or why there is none; drift is marked by `!`."""
    if answer is None:
        return Text(DASH, style="dim")
    if answer["label"] is None:
        text = Text(answer["abstain"], style="yellow")
    else:
        text = Text(f"{answer['label']} {answer['confidence']:.2f}", style="green")
    return text.append("!", style="bold red") if answer["drift"] else text
