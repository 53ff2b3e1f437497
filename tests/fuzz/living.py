"""A daemon that is fuzzed while it works: a pulse of valid frames goes through it all the time."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from rvsense import wire
from rvsense.client import Subscriber
from rvsense.frames import RadarFrame
from tests.chaos.report import Figure, at_most, exactly
from tests.chaos.stage import Stage, balanced, staged
from tests.conftest import publish_small
from tests.fuzz.memory import resident_mb, slope

SITE = "pulse"
WITHIN_S = 60.0
"""Only a hang reaches this."""
MAX_SITES = 16
CONFIG = f"""
[intake]
max_sites = {MAX_SITES}
label_window_frames = 4
[pairing]
max_pending_frames = 8
[serving]
max_waiting_frames = 256
"""
"""Small windows, so that memory is flat as soon as they are full."""
SETTLED = 0.25
"""Share of the run after which memory should not grow any more."""
GROWTH_MB = 24.0
SLOPE_MB = 40.0
"""In 100,000 messages; what the allocator keeps moves by some MB either way."""


class Living:
    """The daemon, a socket to its intake, and what has been measured so far."""

    def __init__(self, stage: Stage, push: "zmq.Socket[bytes]", results: Subscriber) -> None:
        self.stage, self.push = stage, push
        self.pulses = 0
        self.answered = 0
        self._results = results
        self._sent = 0
        self._memory: list[tuple[float, float]] = []
        self._heatmap = np.zeros((1, 128, 128, 2), np.float32)

    def send(self, parts: Sequence[bytes]) -> None:
        """A message to the intake."""
        self.push.send_multipart(list(parts), copy=False)
        self._sent += 1

    def pulse(self) -> None:
        """A valid radar frame, and its answer."""
        stamp_ns = time.time_ns()
        frame = RadarFrame(site=SITE, seq=self.pulses, stamp_ns=stamp_ns, heatmap=self._heatmap)
        self.send([bytes(part) for part in wire.encode(frame)])
        self.pulses += 1
        result = self._results.receive(WITHIN_S)
        assert result is not None, f"no answer to {frame.seq}: {self.lines[-10:]}"
        assert (result.seq, result.stamp_ns) == (frame.seq, stamp_ns), "not the answer to this one"
        self.answered += result.label == "empty" or result.abstain == "out_of_distribution"

    def weigh(self, done: float) -> None:
        """Note the memory at this share of the run."""
        self._memory.append((done, resident_mb(self.stage.pid)))

    def figures(self, messages: int) -> list[Figure]:
        """What must hold of every daemon that was fuzzed."""
        settled = [(x * messages / 100_000, mb) for x, mb in self._memory if x >= SETTLED]
        growth_mb = settled[-1][1] - settled[0][1] if settled else 0.0
        status = self.stage.status()
        figures = [
            exactly("valid radar frames in between, answered", self.answered, self.pulses),
            exactly("books balanced", str(balanced(status)), "True"),
            exactly("live and ready at the end", str(self.stage.is_well()), "True"),
            exactly("tracebacks in the log", sum("Traceback" in x for x in self.lines), 0),
            at_most("memory grown once settled", growth_mb, GROWTH_MB, " MB"),
        ]
        if len(settled) > 20:  # of few points a slope says nothing
            figures.append(
                at_most("memory slope, per 100,000 messages", slope(settled), SLOPE_MB, " MB")
            )
        return figures

    @property
    def lines(self) -> list[str]:
        """Its log so far."""
        return self.stage.daemon.lines

    def counted(self, metric: str, label: str) -> dict[str, int]:
        """A counter of `/metrics` by the values of a label; those at 0 are left out."""
        found = re.findall(
            rf'^{metric}{{[^}}]*{label}="([^"]*)"[^}}]*}} (\S+)$',
            self.stage.page("/metrics"),
            re.MULTILINE,
        )
        return {value: round(float(count)) for value, count in found if float(count)}

    def taken(self, messages: int) -> dict[str, Any]:
        """`intake` of `/statusz`, once all of these messages have been dealt with."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            intake: dict[str, Any] = self.stage.status()["intake"]
            count = sum(sum(part.values()) for part in intake.values())
            if count >= messages or time.monotonic() > until_s:
                return intake
            time.sleep(0.05)


@contextmanager
def living(work: Path, config: str = CONFIG) -> Iterator[Living]:
    """A daemon that serves a model and does not learn."""
    publish_small(work / "state" / "models")
    with (
        staged(work, "--no-learn", config=config) as stage,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as push,
        Subscriber(stage.endpoints["results"], site=SITE) as results,
    ):
        push.linger = 0
        push.connect(stage.endpoints["intake"])
        while results.connections == 0:
            results.receive(0.01)
        yield Living(stage, push, results)
