"""One message as one line for a person. Pure."""

from collections.abc import Mapping
from typing import Any

from rvsense.client import ModelNews
from rvsense.results import Result
from rvsense.terminal.words import duration, number, percent


def result_line(result: Result) -> str:
    """Site, number, answer or why there is none, confidence, latency, model."""
    answer = result.label or f"({result.abstain})"
    model = "no model" if result.model is None else f"step {result.model.step}"
    latency_ms = (result.published_ns - result.received_ns) / 1e6
    return (
        f"{result.site:<12} {result.seq:>8}  {answer:<22} {result.confidence:4.2f}  "
        f"{latency_ms:6.1f} ms  {model}"
    )


def model_line(news: ModelNews) -> str:
    """Which model answers now."""
    return f"step {news.step}  {news.id}  sha256 {news.sha256[:16]}"


def status_line(status: Mapping[str, Any]) -> str:
    """How a daemon is."""
    health, serving, score = status.get("health"), status["serving"], status["score"]
    ready = "" if health is None else "ready  " if health["ready"] else "NOT READY  "
    model = "no model" if status["model"] is None else f"model step {status['model']['step']}"
    return (
        f"{ready}up {duration(status['uptime_s'])}  {serving['answered']} answered  "
        f"p99 {number(serving['latency_p99_ms'], '.1f')} ms  {model}  "
        f"accuracy {percent(score['accuracy'])}  "
        f"learner step {status['learner']['figures'].get('step', 0)}"
    )
