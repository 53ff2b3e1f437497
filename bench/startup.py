"""Start-up and memory: the command, the daemon and the learner against what they stand on.

Run: python -m bench.startup [--quick] [--json FILE]

- `rvsense --help` against `python -c pass`, in wall time and in processor time.
- A daemon that has a model from before, from its start until /readyz says 200, with its learner
  starting beside it and without one, against a process that imports torch and ends.
- Resident memory of that daemon and of its learner, while it is sent a dataset at 30 frames a
  second and learns at full pace, against a process that has imported torch. Pages that processes
  share (torch's own code) count in full on both sides; PSS shares them out.
- What each entry of a learner's pool takes, against the sizes of its tensors: from the resident
  memory with a large pool and with a small one, both full.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import torch

from bench import served
from bench.sides import Goal, Row, options, report, rounds
from rvsense.config import Learning
from rvsense.learner.main import build_trainer

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bench" / "serving"
RVSENSE = Path(sys.executable).with_name("rvsense")
MIB = 1024 * 1024
DEADLINE_S = 120.0
LOOK_EACH_S = 0.005
POOLS = (256, 4096)
QUICK_POOLS = (256, 1280)
"""Entries of two pools, far apart in size: what else a learner takes is the same with both."""

TORCH = (sys.executable, "-c", "import torch")
TORCH_STAYS = (sys.executable, "-c", "import torch; print(flush=True); input()")
NOTHING = (sys.executable, "-c", "pass")


def wall_s(command: Sequence[str]) -> float:
    """Seconds from start to end."""
    start_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def processor_s(command: Sequence[str]) -> float:
    """Seconds of processor time, user and system."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def starting_daemon(state: Path, *flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A daemon that has just been started, and its HTTP address; stopped on leaving."""
    address = f"127.0.0.1:{free_port()}"
    sockets = (f"--{name}=tcp://127.0.0.1:*" for name in ("intake", "results", "requests"))
    command = [str(RVSENSE), "daemon", "--state-dir", str(state), "--http", address, *sockets]
    daemon = subprocess.Popen([*command, "--log-level", "error", *flags], stdout=subprocess.DEVNULL)
    try:
        yield daemon, f"http://{address}"
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)


def wait_until_ready(daemon: "subprocess.Popen[bytes]", address: str) -> None:
    """Return with the first 200 of /readyz; RuntimeError if it ends or takes too long."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        if daemon.poll() is not None:
            raise RuntimeError(f"the daemon ended with status {daemon.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass  # not listening yet, or listening and not ready
        time.sleep(LOOK_EACH_S)
    raise RuntimeError(f"the daemon was not ready within {DEADLINE_S:.0f} s")


def ready_s(state: Path, *flags: str) -> float:
    """Seconds until a daemon in a copy of this state directory is ready."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "state"
        shutil.copytree(state, copy)
        start_s = time.perf_counter()
        with starting_daemon(copy, *flags) as (daemon, address):
            wait_until_ready(daemon, address)
            return time.perf_counter() - start_s


def start_rows(state: Path, quick: bool) -> list[Row]:
    """The command and the daemon."""
    count = 5 if quick else 21
    rows = []
    for what, measure in (("wall", wall_s), ("processor", processor_s)):
        ours, theirs = rounds(
            count, partial(measure, (str(RVSENSE), "--help")), partial(measure, NOTHING)
        )
        name, goal = f"rvsense --help, {what} time", Goal("at most", 2)
        rows.append(Row(name, ours, theirs, "s", "python -c pass", goal))
    count = 1 if quick else 7
    for what, flags in (("with its learner", ()), ("serving only", ("--no-learn",))):
        ours, theirs = rounds(count, partial(ready_s, state, *flags), partial(wall_s, TORCH))
        goal = Goal("at most", 1.5)
        rows.append(Row(f"daemon ready, {what}", ours, theirs, "s", "import torch", goal))
    return rows


def resident_mib(process: psutil.Process) -> tuple[float, float]:
    """(RSS, PSS) of a process in MiB."""
    memory = process.memory_full_info()
    return memory.rss / MIB, memory.pss / MIB


def torch_mib() -> tuple[float, float]:
    """(RSS, PSS) of a process that has imported torch and nothing else."""
    pipe = subprocess.PIPE
    with subprocess.Popen(TORCH_STAYS, stdin=pipe, stdout=pipe) as idle:
        assert idle.stdout is not None
        idle.stdout.readline()
        found = resident_mib(psutil.Process(idle.pid))
        idle.communicate(b"\n")
    return found


def learner_of(daemon: psutil.Process) -> psutil.Process:
    """The learner among a daemon's children."""
    for child in daemon.children():
        if any("learner" in word for word in child.cmdline()):
            return child
    raise RuntimeError("the daemon has no learner process")


def memory_rows(data: Path, state: Path, steady_s: float) -> list[Row]:
    """A daemon and a learner that have both worked for `steady_s` seconds."""
    rss, pss = {}, {}
    with served.daemon(state, learn=True) as daemon:
        play = ["replay", str(data), "--loop", "--to", daemon.endpoints["intake"]]
        player = subprocess.Popen([str(RVSENSE), *play], stderr=subprocess.DEVNULL)
        try:
            time.sleep(steady_s)
            answered = daemon.status()["serving"]["answered"]
            parent = psutil.Process(daemon.process.pid)
            for name, process in (("daemon", parent), ("learner", learner_of(parent))):
                rss[name], pss[name] = resident_mib(process)
            rss["import torch"], pss["import torch"] = torch_mib()
        finally:
            player.terminate()
            player.wait(timeout=30)
        print(f"memory after {answered} answers and {daemon.steps()} training steps")
    print(f"PSS in MiB, all at once: { {name: round(mib) for name, mib in pss.items()} }\n")
    return [
        Row(f"{name}, resident", (rss[name],), (rss["import torch"],), "MiB", "import torch", goal)
        for name, goal in (("daemon", Goal("at most", 1.5)), ("learner", Goal("at most", 3)))
    ]


def resident_with_pool(entries: int) -> tuple[int, int]:
    """(bytes resident of this process with such a pool full, the sizes of an entry's tensors)."""
    learning = Learning(
        preset="edge", device="cpu", teacher_weights="random", pool_pairs=entries, heldout_pairs=0
    )
    trainer = build_trainer(learning, seed=0)
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(trainer.pool.columns["input"].shape[1:])
    for number in range(entries):
        key = torch.rand(trainer.teacher.key_dim, generator=generator)
        trainer.keep(x, key, "site", 0, number * 1_000_000_000)
    if trainer.pool.fill != entries:
        raise RuntimeError(f"{trainer.pool.fill} of {entries} entries were kept")
    columns = trainer.pool.columns.values()
    return psutil.Process().memory_info().rss, sum(column[0].nbytes for column in columns)


def pool_row(few: int, many: int) -> Row:
    """What a larger pool takes more, for each entry that it has more."""
    small, _ = resident_elsewhere(few)
    large, sum_of_tensors = resident_elsewhere(many)
    grown = ((large - small) / (many - few) / 1024,)
    goal = Goal("at most", 1.05)
    against = "its tensors' sizes"
    return Row("pool, each entry", grown, (sum_of_tensors / 1024,), "KiB", against, goal)


def resident_elsewhere(entries: int) -> tuple[int, int]:
    """`resident_with_pool` in a process of its own."""
    code = f"from bench.startup import resident_with_pool; print(*resident_with_pool({entries}))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    resident, sum_of_tensors = map(int, ran.stdout.split())
    return resident, sum_of_tensors


def main() -> None:
    """Print the rows."""
    chosen = options(__doc__, "bench.startup").parse_args()
    data = served.dataset(FOLDER / "cruw")
    state = served.learned(FOLDER / "state", data)
    wall_s(TORCH)  # from the disk once, from the page cache ever after
    rows = [
        *start_rows(state, chosen.quick),
        *memory_rows(data, state, steady_s=5 if chosen.quick else 60),
        pool_row(*(QUICK_POOLS if chosen.quick else POOLS)),
    ]
    report(rows, threads="1 serving, 1 learning", path=chosen.json)


if __name__ == "__main__":
    main()
