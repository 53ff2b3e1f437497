"""A daemon that learns and serves at a walking pace, and what must hold of its serving."""

from collections.abc import Mapping
from typing import Any

from tests.chaos.listening import Listener
from tests.chaos.report import Figure, exactly, told
from tests.chaos.stage import balanced, unanswered

SPEED = "0.3"
"""Of a radar of 30 Hz: no frame is dropped for want of processor, whoever else wants it."""
PLAYED = ("--loop", "--labels", "0.5", "--speed", SPEED)
SMALL = """
[pairing]
thin_rate_hz = 30.0
[learning]
niceness = 0
batch = 4
min_pool_pairs = 8
queue = 64
pool_pairs = 96
heldout_pairs = 4
publish_every_steps = 10
max_reuse = 4.0
checkpoint_every_s = 1.0
"""


def served(status: Mapping[str, Any], listener: Listener) -> list[Figure]:
    """Rows on every result, by a daemon's last word and by a subscriber that has finished."""
    answered = status["serving"]["answered"]
    return [
        told("radar frames", status["serving"]["radar"]),
        exactly("radar frames without a result", unanswered(status), 0),
        exactly("results that a subscriber missed", listener.missed, 0),
        exactly("results given, and numbered, at the subscriber", listener.results, answered),
        exactly("results with numbers that are not finite", listener.absurd, 0),
        exactly("books balance", str(balanced(status)), "True"),
    ]


def of(act: str, figures: list[Figure]) -> list[Figure]:
    """The same rows, named by what happened."""
    return [
        Figure(f"{act}: {figure.what}", figure.measured, figure.bound, figure.kept)
        for figure in figures
    ]
