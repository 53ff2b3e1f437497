"""The screen of `rvsense top`, from one map of `/statusz` and the trend so far. No I/O here."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rvsense.terminal.sites import sites_table
from rvsense.terminal.trend import Trend
from rvsense.terminal.words import counted, duration, number, percent, sparkline

FIXED_LINES = 16
"""All but the rows of the sites' table and the news."""
WORDS_COLUMNS = 32
"""Of half the screen, what the words beside a sparkline take."""


def screen(
    status: Mapping[str, Any], trend: Trend, *, endpoint: str, lines: int, columns: int
) -> RenderableType:
    """Everything there is to see, in so many lines and columns where they are at least 24 × 80."""
    rows = max(lines - FIXED_LINES - 1, 1)
    news = lines - FIXED_LINES - max(min(len(status["sites"]), rows), 1)
    bars = max(columns // 2 - WORDS_COLUMNS, 0)
    halves = Table.grid(expand=True, padding=(0, 2, 0, 0))
    halves.add_column(ratio=1, no_wrap=True)
    halves.add_column(ratio=1, no_wrap=True)
    halves.add_row(Group(*_learner(status, trend, bars)), Group(*_model(status, trend, bars)))
    return Group(
        _head(status, endpoint),
        *_health(status),
        Text(),
        sites_table(status, rows=rows, columns=columns),
        Text(),
        halves,
        Text(),
        *_answers(status, trend, bars + columns // 4),
        *_news(status, news),
    )


def _head(status: Mapping[str, Any], endpoint: str) -> Text:
    now = time.strftime("%H:%M:%S UTC", time.gmtime())
    head = Text(no_wrap=True, overflow="ellipsis").append(f"rvsense {status['version']}", "bold")
    replay = status["replay"]
    head.append(f"  {endpoint}  up {duration(status['uptime_s'])}  {now}")
    if replay is not None:
        head.append(f"  replay {replay['phase']}", "cyan")
    if status["recording"] is not None:
        head.append("  RECORDING", "bold red")
    return head


def _health(status: Mapping[str, Any]) -> Iterator[Text]:
    health = status["health"]
    bad = [check for check in health["checks"] if not check["ok"]]
    word, style = "READY", "bold green"
    if not health["ready"]:
        word, style = "NOT READY" if health["live"] else "STUCK", "bold red"
    line = Text(no_wrap=True, overflow="ellipsis").append(word, style)
    for check in bad:
        colour = "yellow" if check["gate"] == "degraded" else "red"
        line.append(f"  {check['name']}: {check['reason']}", colour)
    yield line


def _title(title: str, more: str = "", style: str = "dim") -> Text:
    return (
        Text(overflow="ellipsis", no_wrap=True).append(f"{title:<10}", "bold").append(more, style)
    )


def _line(name: str, value: str, bars: str = "") -> Text:
    line = Text(overflow="ellipsis", no_wrap=True).append(f"{name:<10}", "dim").append(value)
    return line.append(f"  {bars}", "cyan") if bars else line


def _learner(status: Mapping[str, Any], trend: Trend, bars: int) -> Iterator[Text]:
    learner = status["learner"]
    if not learner["enabled"]:
        yield _title("LEARNER", "off, as asked for")
        return
    figures = learner["figures"]
    began = learner["figures"] or learner.get("restarts")
    how = "up" if learner["up"] else "away" if began else "starting"
    where = f"{learner['remote']} " if learner["remote"] else ""
    yield _title("LEARNER", where + how, "green" if learner["up"] else "yellow")
    speed = number(figures.get("steps_per_s"), ".1f", "/s")
    yield _line("step", f"{figures.get('step', 0)}  {speed}")
    bound = (
        f"{number(figures.get('mi_bound'), '.2f')} of {number(figures.get('mi_ceiling'), '.2f')}"
    )
    yield _line("MI bound", f"{bound} nats", sparkline(trend.mi_bound, bars))
    top1, retrieval = percent(figures.get("top1")), percent(figures.get("retrieval"))
    yield _line("top-1", f"{top1}, retrieval {retrieval}")
    pairs, samples = figures.get("pairs", 0), figures.get("samples", 0)
    reuse = number(samples / pairs if pairs else None, ".1f", "×")
    yield _line("pool", f"{figures.get('pool', 0)} pairs, each used {reuse}")


def _model(status: Mapping[str, Any], trend: Trend, bars: int) -> Iterator[Text]:
    model, score = status["model"], status["score"]
    if model is None:
        yield _title("MODEL", "none yet")
    else:
        pinned = ", PINNED" if model.get("pinned") else ""
        age = duration(model["age_s"])
        yield _title("MODEL", f"step {model['step']}, {age} old{pinned}", "green")
        yield _line("id", model["id"])
    right = "no answer has been scored yet"
    if score["scored"]:
        right = f"{percent(score['accuracy'])} of {score['scored']} answers"
    yield _line("accuracy", right, sparkline(trend.accuracy, bars, top=1.0))
    yield _line("coverage", f"{percent(score['coverage'])} of them not withheld")
    held = 0 if model is None else model.get("held", 0)
    swaps = status["swaps"]
    told = [f"{swaps} swap{'s' * (swaps != 1)}", f"{held} held back" if held else ""]
    refused = counted(status["refused"])
    told.append(f"refused {refused}" if refused else "")
    yield _line("models", ", ".join(filter(None, told)))


def _answers(status: Mapping[str, Any], trend: Trend, bars: int) -> Iterator[Text]:
    serving, labels = status["serving"], status["labels"]
    dropped = counted(serving["dropped"]) or "none"
    done = f"{serving['answered']}, dropped: {dropped}, waiting: {serving['waiting']}"
    yield _title("ANSWERS", f"{done}, subscribers: {serving['subscribers']}", "")
    p50, p99 = serving["latency_p50_ms"], serving["latency_p99_ms"]
    words = f"p50 {number(p50, '.1f')}, p99 {number(p99, '.1f')} ms"
    yield _line("latency", words, sparkline(trend.p99_ms, bars))
    withheld = counted(serving["abstained"])
    yield _line("withheld", withheld or "none")
    used = f"{labels['taught']} taught, {labels['examined']} examined"
    lost = counted(status["intake"]["rejected"])
    yield _line("labels", used + (f"   rejected messages: {lost}" if lost else ""))


def _news(status: Mapping[str, Any], lines: int) -> Iterator[Text]:
    """What became of models, the newest first."""
    events = list(status["model_history"])[::-1][: max(lines, 0)]
    for place, event in enumerate(events):
        when = time.strftime("%H:%M:%S", time.gmtime(event["at_s"]))
        why = event.get("detail") or event.get("reason")
        what = f"{when} {event['event']} {event['model']}" + (f": {why}" if why else "")
        yield _line("news" if place == 0 else "", what)
