"""The line that a person at a terminal watches, and its place beneath the log."""

import shutil
from collections.abc import Mapping
from typing import Any, TextIO

CLEAR = "\r\x1b[2K"


class Terminal:
    """A text stream whose last line is a live one: what is written goes above it.

    Without a terminal behind it, it only passes text on and shows no line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""

    def write(self, text: str) -> int:
        """Write whole lines above the live one."""
        if self._line:
            text = f"{CLEAR}{text}{self._line}"
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person may be watching."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._stream.fileno()

    def show(self, line: str) -> None:
        """Replace the live line."""
        if self.isatty():
            self._line = line[: max(shutil.get_terminal_size().columns - 1, 20)]
            self._stream.write(CLEAR + self._line)
            self._stream.flush()

    def end(self) -> None:
        """Leave the live line standing; what follows begins below it."""
        if self._line:
            self._line = ""
            self._stream.write("\n")
            self._stream.flush()


def live_line(status: Mapping[str, Any]) -> str:
    """Frames, pairs, skew, steps, MI bound, instance top-1, accuracy, latency."""
    learner, score = status["learner"]["figures"], status["score"]
    parts = [
        f"{status['serving']['answered']} frames",
        f"{status['pairing']['pairs']} pairs",
        f"skew {_figure(status['pairing']['skew_p50_ms'], '.1f')} ms",
        f"step {learner.get('step', 0)}",
        f"MI ≥ {_figure(learner.get('mi_bound'), '.2f')}"
        f"/{_figure(learner.get('mi_ceiling'), '.2f')} nats",
        f"top-1 {_percent(learner.get('top1'))}",
        f"accuracy {_percent(score['accuracy'])}",
        f"p99 {_figure(status['serving']['latency_p99_ms'], '.0f')} ms",
    ]
    model = status["model"]
    parts.append("no model yet" if model is None else f"model {model['step']}")
    return "  ".join(parts)


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def closing_lines(status: Mapping[str, Any]) -> str:
    """What a person is told at the end."""
    serving, pairing, score = status["serving"], status["pairing"], status["score"]
    dropped = sum(serving["dropped"].values())
    lines = [
        f"{serving['radar']} radar frames: {serving['answered']} answered, {dropped} dropped, "
        f"p50 {_figure(serving['latency_p50_ms'], '.1f')} ms, "
        f"p99 {_figure(serving['latency_p99_ms'], '.1f')} ms",
        f"{pairing['pairs']} pairs, log {pairing['pair_log_sha256'][:16]}",
    ]
    if score["accuracy"] is not None:
        lines.append(
            f"accuracy {_percent(score['accuracy'])} on the last unseen frames "
            f"(chance 25 %), {score['scored']} scored"
        )
    if status["model"] is not None:
        lines.append(f"model {status['model']['id']}")
    return "\n".join(lines)
