"""Subscribers as processes of their own, to be stopped and woken: `python -m tests.chaos.crowd`.

Each says when it follows, and at its end which results it got and what it says that it missed.
"""

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Self

from rvsense import subscribe
from tests.whole.running import PATIENCE_S

LOOK_S = 0.05
ROOT = Path(__file__).parents[2]
"""Where `tests` is found: it is not installed."""


class Crowd:
    """A context manager: so many subscribers, all of which have had a result."""

    def __init__(self, endpoint: str, count: int) -> None:
        command = [sys.executable, "-m", "tests.chaos.crowd", endpoint]
        self._processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            for _ in range(count)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == "follows"
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def stop(self) -> None:
        """SIGSTOP: they read nothing and answer nothing, and their connections stay."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def tell(self) -> list[dict[str, Any]]:
        """End them; the last words of each, see `main`."""
        self._signal(signal.SIGTERM)
        words = [process.communicate(timeout=PATIENCE_S)[0] for process in self._processes]
        return [json.loads(word) for word in words]

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(number)


def main(endpoint: str) -> None:
    """Follow until SIGTERM; then print what was seen.

    got      site → first and last `result_seq`, and how many results
    missed   as the client counts it
    backward results with a number not above the one before
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    got: dict[str, list[int]] = defaultdict(list)
    with subscribe(endpoint) as subscriber:
        while not stop.is_set():
            if (result := subscriber.receive(LOOK_S)) is None:
                continue
            if not got:
                print('"follows"', flush=True)
            got[result.site].append(result.result_seq)
        words = {
            "got": {site: (seqs[0], seqs[-1], len(seqs)) for site, seqs in got.items()},
            "missed": subscriber.missed,
            "backward": sum(
                after <= before for seqs in got.values() for before, after in pairwise(seqs)
            ),
        }
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
