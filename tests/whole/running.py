"""A real daemon as a process, and the small data that it is given; without pytest."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE_S = 120.0
"""Only a hang reaches this: nothing here is timed."""

# Not nice: on a machine that others keep busy the learner would hardly get a turn.
SMALL = """
[pairing]
thin_rate_hz = 30.0
[learning]
niceness = 0
batch = 8
min_pool_pairs = 16
queue = 96
publish_every_steps = 10
heldout_pairs = 8
checkpoint_every_s = 1.0
"""

FREE_PORTS = (
    *("--intake", "tcp://127.0.0.1:*", "--results", "tcp://127.0.0.1:*"),
    *("--requests", "tcp://127.0.0.1:*", "--http", "127.0.0.1:0"),
)


class Daemon:
    """A running `rvsense daemon`, its log as it comes and its last word."""

    def __init__(self, *arguments: str | Path) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rvsense", "daemon", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self._fresh: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(
        self, event: str, *, patience_s: float = PATIENCE_S, **wanted: Any
    ) -> dict[str, Any]:
        """The next event of this name whose values are as wanted."""
        with suppress(queue.Empty):
            while (seen := self._fresh.get(timeout=patience_s)) is not None:
                if seen["event"] == event and wanted.items() <= seen.items():
                    return seen
            raise AssertionError(f"the daemon ended without {event}: {self.lines[-10:]}")
        raise AssertionError(f"nothing was said, nor {event}: {self.lines[-10:]}")

    def finish(self) -> dict[str, Any]:
        """Wait for the end; the status that the daemon leaves on standard output."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        assert self.process.returncode == 0, self.lines[-10:]
        status: dict[str, Any] = json.loads(out.splitlines()[-1])
        return status

    def stop(self) -> dict[str, Any]:
        """SIGTERM, then as `finish`."""
        self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def kill(self) -> None:
        """SIGKILL, as a test's end or a crash."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if line.startswith("{"):
                event = json.loads(line)
                self.events.append(event)
                self._fresh.put(event)
        self._fresh.put(None)


def simulate(out: Path, *, sequences: int = 12) -> Path:
    """A small simulated dataset: training sequences of 12 frames at 2 sites, and a test one."""
    command = [sys.executable, "-P", "-m", "rvsense", "simulate", str(out), "--jobs", "2"]
    sizes = ["--sequences", str(sequences), "--frames", "12", "--sites", "2", "--seed", "3"]
    subprocess.run(command + sizes, check=True, capture_output=True, timeout=PATIENCE_S)
    return out
