"""What a recorder costs a daemon's intake: the same frames with and without one, in turn.

    python -m bench.recording [--quick] [--json FILE]

Two daemons take in what `bench.intake` sends, as fast as they take it, which is far above any
sensor's rate; `rvsense record` writes what one of them takes in to a disk. The daemon waits for no
recorder, so what the disk cannot keep up with at this rate is lost and counted: the last row says
how much was kept.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.feeding import PATIENCE_S, Daemon, Run, Sending, closing_after
from bench.intake import Intake
from bench.sides import Row, options, report, rounds

CAPS = ("--segment-mb", "200", "--most-gb", "1", "--free-gb", "0")


class Recorder:
    """`rvsense record` at work on a daemon."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        command = [sys.executable, "-P", "-m", "rvsense", "record", str(folder), *CAPS]
        self._daemon = daemon
        self._process = subprocess.Popen(
            [*command, "--requests", daemon.endpoints["requests"]],
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        until_s = time.monotonic() + PATIENCE_S
        while daemon.status()["recording"] is None:
            if time.monotonic() > until_s:
                raise TimeoutError("the recorder does not come up")
            time.sleep(0.05)
        time.sleep(1.0)  # until it listens

    @property
    def books(self) -> dict[str, Any]:
        """Messages that the daemon has handed over, and lost, so far."""
        books: dict[str, Any] = self._daemon.status()["recording"]
        return books

    def close(self) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE_S)


def compare(run: Run, count: int, folder: Path) -> list[Row]:
    """Rate, processor time a frame, and the share that was recorded."""
    sending = Sending()
    for name in ("with", "without"):
        (folder / name).mkdir()
    recorded, plain = Daemon(folder / "with"), Daemon(folder / "without")
    with closing_after(sending, recorded, plain):
        ours, theirs = Intake(sending, recorded), Intake(sending, plain)
        recorder = Recorder(recorded, folder / "recording")
        try:
            ours.rate_hz(run), theirs.rate_hz(run)  # neither side pays for its first steps
            rates = rounds(count, lambda: ours.rate_hz(run), lambda: theirs.rate_hz(run))
            books = recorder.books
        finally:
            recorder.close()
    cpu_us = tuple(ours.cpu_us[-count:]), tuple(theirs.cpu_us[-count:])
    kept, lost = float(books["messages"]), float(books["lost"])
    against = "nobody records"
    return [
        Row("intake while recorded", *rates, "frames/s", against),
        Row("processor time a frame while recorded", *cpu_us, "µs", against),
        Row("recorded at that rate", (kept,), (kept + lost,), "messages", "all there were"),
    ]


def main() -> None:
    """Measure and report."""
    arguments = options(__doc__, "bench.recording").parse_args()
    instants, count = (200, 3) if arguments.quick else (400, 9)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(Run(instants, camera=True), count, Path(folder))
    report(rows, threads="1 for each process", path=arguments.json)


if __name__ == "__main__":
    main()
