"""Frames a second through a daemon's intake, over a bare PULL loop that takes the same messages.

    python -m bench.intake [--quick] [--json FILE]

A process of its own sends messages that were made before, as fast as they are taken: heatmaps of
four chirps in float32 and, in the mixed run, JPEGs of the real size, both streams in the order of
capture. One side is the shortest loop there can be: it receives without a copy and counts. The
other is a whole daemon as its own process: socket, validation down to every number's finiteness,
order, pairing, ledger, metrics, and the pairs that are due sent on to a stand-in for the learner,
which takes them at once. Serving is no part of this path, so there is no model: every radar frame
gets the answer `no_model`, and the run ends when the answer to the last frame sent has come out.
Processor time is that of all threads of the receiving process, ZeroMQ's own among them.
"""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import zmq

from bench.feeding import (
    LAST_SITE,
    PATIENCE_S,
    QUEUED_MESSAGES,
    Daemon,
    Run,
    Sending,
    closing_after,
)
from bench.sides import Goal, Row, options, report, rounds
from rvsense.client import Subscriber

GOAL = Goal("at least", 0.6)


class Bare:
    """Receives and counts, and does nothing else."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self.cpu_us: list[float] = []

    def rate_hz(self, run: Run) -> float:
        """Messages a second of one run."""
        with zmq.Context() as context, context.socket(zmq.PULL) as socket:
            socket.set_hwm(QUEUED_MESSAGES)
            port = socket.bind_to_random_port("tcp://127.0.0.1")
            self._sending.prepare(run, f"tcp://127.0.0.1:{port}")
            began_cpu_s = cpu_s(os.getpid())
            self._sending.start()
            for _ in range(run.messages + 1):
                socket.recv_multipart(copy=False)
            ended_s = time.monotonic()
            self.cpu_us.append(1e6 * (cpu_s(os.getpid()) - began_cpu_s) / run.messages)
        return run.messages / (ended_s - self._sending.began_s())


class Intake:
    """A daemon, and what its books say after each run."""

    def __init__(self, sending: Sending, daemon: Daemon) -> None:
        self._sending, self._daemon = sending, daemon
        self._epoch = 0
        self.cpu_us: list[float] = []
        self.status = daemon.status()

    def rate_hz(self, run: Run) -> float:
        """Messages a second of one run, from the first one sent to the last one's answer.

        Raises:
            RuntimeError: a frame was not taken in, or is missing from the books.
        """
        run, before = replace(run, epoch=self._epoch), self.status
        self._epoch += 1
        daemon = self._daemon
        with Subscriber(daemon.endpoints["results"], site=LAST_SITE) as answers:
            while daemon.status()["serving"]["subscribers"] == 0:
                time.sleep(0.01)
            self._sending.prepare(run, daemon.endpoints["intake"])
            began_cpu_s = cpu_s(daemon.process.pid)
            self._sending.start()
            while (answer := answers.receive(PATIENCE_S)) is None or answer.epoch != run.epoch:
                if answer is None:
                    raise RuntimeError("the last frame was never answered")
            ended_s = time.monotonic()
        self.cpu_us.append(1e6 * (cpu_s(daemon.process.pid) - began_cpu_s) / run.messages)
        self.status = daemon.status()
        received = {
            kind: self.status["intake"]["received"].get(kind, 0)
            - before["intake"]["received"].get(kind, 0)
            for kind in ("radar", "camera")
        }
        if received != {"radar": run.instants + 1, "camera": run.instants * run.camera}:
            raise RuntimeError(f"{run}: the daemon took in {received}")
        if not self.status["serving"]["balanced"]:
            raise RuntimeError(f"the books do not balance: {self.status['serving']}")
        return run.messages / (ended_s - self._sending.began_s())


def cpu_s(pid: int) -> float:
    """Processor time that a process has used in all its threads, system time included."""
    # Linux's clock of a process, as clock_getcpuclockid(3) makes it, which Python lacks.
    return time.clock_gettime((~pid << 3) | 2)


def compare(run: Run, count: int, *settings: str) -> tuple[list[Row], str]:
    """Rate and processor time of one kind of run, and a line on what the daemon did with it."""
    what = "radar and camera" if run.camera else "radar alone"
    sending = Sending()
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder), *settings)
        with closing_after(sending, daemon):
            bare, intake = Bare(sending), Intake(sending, daemon)
            bare.rate_hz(run), intake.rate_hz(run)  # neither side pays for its first steps
            ours, theirs = rounds(count, lambda: intake.rate_hz(run), lambda: bare.rate_hz(run))
            status = intake.status
    serving, pairs = status["serving"], status["learner"]["pairs"]
    line = (
        f"{what}: {serving['radar']} radar frames in, {serving['answered']} answered, dropped "
        f"{serving['dropped']}; {status['pairing']['pairs']} pairs, {pairs['sent_on']} sent on, "
        f"{pairs['taken']} taken, dropped {pairs['dropped']}"
    )
    cpu_us = tuple(intake.cpu_us[-count:]), tuple(bare.cpu_us[-count:])
    against = "bare PULL loop"
    return [
        Row(f"intake, {what}", ours, theirs, "frames/s", against, GOAL),
        Row(f"processor time a frame, {what}", *cpu_us, "µs", against),
    ], line


def main() -> None:
    """Measure, print the details, report."""
    arguments = options(__doc__, "bench.intake").parse_args()
    instants, count = (400, 3) if arguments.quick else (1500, 15)
    rows = []
    for camera in (True, False):
        found, line = compare(Run(instants, camera), count)
        rows += found
        print(line, flush=True)
    print()
    report(rows, threads="1 for each process", path=arguments.json)


if __name__ == "__main__":
    main()
