"""A state directory on a disk of 1 MB, and on one that fills up while the daemon runs.

no inode    nothing can be made at all: the daemon says so and ends with 1
small       1 MB: neither a model nor a checkpoint finds room, from the first on
filled      room enough, then none; a restart on the full disk; then room again
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rvsense.learner import checkpoint
from tests.chaos.listening import Listener
from tests.chaos.report import Figure, Report, at_least, exactly, told
from tests.chaos.saves import step_of, whole
from tests.chaos.served import PLAYED, SMALL, of, served
from tests.chaos.stage import Stage, add_data, data, staged
from tests.whole.running import FREE_PORTS

NAME = "tmpfs"
HELP = "a state directory of 1 MB, one without an inode left, one that fills up in the run"

ENOUGH = "64m"
BALLAST = "ballast"
WAIT_S = 240.0
SAVED_AT = "rvsense_checkpoint_success_timestamp_seconds"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is played."""
    add_data(parser)


def run(options: argparse.Namespace) -> Report:
    """Each of the three; skipped where nothing may be mounted."""
    try:
        with mounted(options.work / "try", "size=1m"):
            pass
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode().strip()
        return Report(skipped=f"a tmpfs cannot be mounted ({why}): run as root, or by unshare -rm")
    play = ("--replay", data(options, sequences=4, frames=20), *PLAYED)
    figures = [*of("no inode", no_inode(options.work)), *of("1 MB", small(options.work, play))]
    if not options.quick:
        figures += of("filled", filled(options.work, play))
    return Report(figures)


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A tmpfs, gone afterwards.

    Raises:
        CalledProcessError: it may not be mounted here.
    """
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "rvsense-chaos", str(place)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def no_inode(work: Path) -> list[Figure]:
    """The place itself takes the only one."""
    command = [sys.executable, "-P", "-m", "rvsense", "daemon", *FREE_PORTS, "--no-learn"]
    with mounted(work / "inode", "size=1m,nr_inodes=1") as place:
        command += ["--state-dir", str(place)]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_S)
    named = str(place) in ended.stderr and "make room" in ended.stderr
    return [
        exactly("exit status", ended.returncode, 1),
        exactly("names the folder and the remedy", str(named), "True"),
        exactly("tracebacks", ended.stderr.count("Traceback"), 0),
    ]


def small(work: Path, play: tuple[str, ...]) -> list[Figure]:
    """Everything but serving fails, and says so."""
    with mounted(work / "small", "size=1m") as place:
        with (
            staged(work, *play, state=place.name, config=SMALL) as stage,
            Listener(stage.endpoints["results"]) as listener,
        ):
            rows = [*_failures(stage), *_silence(stage)]
            status = stage.daemon.stop()
        rows.append(exactly("exit status after SIGTERM", stage.daemon.process.returncode, 0))
        left = [path.name for path in place.rglob("*") if path.name.startswith(".")]
    return [*rows, exactly("left aside on the disk", len(left), 0), *served(status, listener)]


def filled(work: Path, play: tuple[str, ...]) -> list[Figure]:
    """Full from some moment on; then the next daemon; then room."""
    with mounted(work / "filled", f"size={ENOUGH}") as place:
        before, rows = _fills(work, place, play)
        again = _restarts(work, place, play, before)
    return [*rows, *of("next start", again)]


def _fills(work: Path, place: Path, play: tuple[str, ...]) -> tuple[dict[str, int], list[Figure]]:
    """Fill the disk once a model serves and a checkpoint is there; what was there, and the rows."""
    with (
        staged(work, *play, state=place.name, config=SMALL) as stage,
        Listener(stage.endpoints["results"]) as listener,
    ):
        stage.daemon.wait_for("model_swapped")
        _wait(lambda: stage.metric(SAVED_AT) > 0)
        _fill(place / BALLAST)
        rows = _failures(stage)
        status = stage.daemon.stop()
    before = {"step": _newest_step(place), "model": status["model"]["step"]}
    rows += [
        exactly("exit status after SIGTERM", stage.daemon.process.returncode, 0),
        *_silence(stage),
        *served(status, listener),
    ]
    return before, rows


def _restarts(
    work: Path, place: Path, play: tuple[str, ...], before: dict[str, int]
) -> list[Figure]:
    """On the full disk: what was announced loads. Then there is room."""
    with (
        staged(work, *play, state=place.name, config=SMALL) as stage,
        Listener(stage.endpoints["results"]) as listener,
    ):
        ready = stage.daemon.wait_for("learner_ready")
        model = stage.said("model_restored")
        _failures(stage)
        (place / BALLAST).unlink()
        (place / f"{BALLAST}-last").unlink()
        room_at = time.time()
        _wait(lambda: stage.metric(SAVED_AT) > room_at and bool(stage.said("model_swapped")))
        saved = stage.metric(SAVED_AT) > room_at
        status = stage.daemon.stop()
    return [
        exactly("training step restored", ready["step"], before["step"]),
        exactly("step of the model restored", model[0]["step"] if model else -1, before["model"]),
        exactly("a checkpoint once there is room", str(saved), "True"),
        exactly("a model once there is room", str(bool(stage.said("model_swapped"))), "True"),
        at_least("step of the last checkpoint", _newest_step(place), before["step"]),
        *_silence(stage),
        *served(status, listener),
    ]


def _failures(stage: Stage) -> list[Figure]:
    """Wait until log and metrics tell of a checkpoint and of a model that failed."""

    def counts() -> dict[str, int]:
        return {
            "log lines: checkpoint_failed": len(stage.said("checkpoint_failed")),
            "log lines: publish_failed": len(stage.said("publish_failed")),
            "rvsense_checkpoint_failures_total": int(
                stage.metric("rvsense_checkpoint_failures_total")
            ),
            "rvsense_publish_failures_total": int(stage.metric("rvsense_publish_failures_total")),
        }

    _wait(lambda: min(counts().values()) > 0)
    return [at_least(name, count, 1) for name, count in counts().items()]


def _silence(stage: Stage) -> list[Figure]:
    """What may not happen on a full disk."""
    ended = len(stage.said("learner_ended"))
    tracebacks = sum("Traceback" in line for line in stage.daemon.lines)
    swaps = len(stage.said("model_swapped"))
    return [
        exactly("learners that ended", ended, 0),
        exactly("tracebacks", tracebacks, 0),
        told("models taken", swaps),
    ]


def _newest_step(place: Path) -> int:
    """Of the newest checkpoint on disk."""
    found = [path for path in checkpoint.numbered(place / "checkpoints") if whole(path)]
    return step_of(found[-1]) if found else -1


def _fill(path: Path) -> None:
    """Take the last byte: large pieces first, then small ones, which fit between."""
    for name, piece_bytes in ((path, 65536), (path.with_name(f"{path.name}-last"), 512)):
        try:
            with name.open("wb", buffering=0) as out:
                while out.write(b"\0" * piece_bytes):
                    pass
        except OSError:
            continue


def _wait(done: Callable[[], bool]) -> None:
    """For something that happens in time, or does not: then the rows say so."""
    give_up_at = time.monotonic() + WAIT_S
    while not done() and time.monotonic() < give_up_at:
        time.sleep(0.2)
