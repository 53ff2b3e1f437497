"""ROS's two synchronisers as processes of their own: found or built, and run over a trace."""

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rvsense.daemon.decisions import Frame

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "bench"
SYSTEM_PYTHON = "/usr/bin/python3"


class MissingError(Exception):
    """A peer is not installed; says how to install it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A synchroniser that runs in its own process."""

    name: str
    command: tuple[str, ...]

    def run(self, trace: Path, queue: int, slop_ns: int) -> tuple[float, list[tuple[int, int]]]:
        """(processor seconds it took, its (radar, camera) seqs as they came out)."""
        pairs = trace.with_suffix(".pairs")
        asked = [*self.command, str(trace), str(pairs), str(queue), str(slop_ns)]
        ran = subprocess.run(asked, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"{self.name} failed: {ran.stderr.strip()[-2000:]}")
        seqs = [line.split() for line in pairs.read_text().splitlines()]
        return float(ran.stdout.split()[-1]), [(int(radar), int(camera)) for radar, camera in seqs]


def write(path: Path, frames: Iterable[Frame]) -> Path:
    """A trace for a peer; the path."""
    path.write_text("".join(f"{f.stream} {f.seq} {f.stamp_ns}\n" for f in frames))
    return path


def python_peer() -> Peer:
    """Raises MissingError without Debian's python3-message-filters."""
    asked = [SYSTEM_PYTHON, "-c", "import rospy, message_filters"]
    there = Path(SYSTEM_PYTHON).exists()
    if not there or subprocess.run(asked, capture_output=True, check=False).returncode:
        raise MissingError("ROS Python: apt-get install python3-message-filters")
    return Peer("ROS Python", (SYSTEM_PYTHON, str(HERE / "drive.py")))


def cpp_peer() -> Peer:
    """Compiled when the source is newer; raises MissingError without compiler or library."""
    remedy = "ROS C++: apt-get install g++ pkg-config libmessage-filters-dev libroscpp-dev"
    if not shutil.which("g++") or not shutil.which("pkg-config"):
        raise MissingError(remedy)
    asked = ["pkg-config", "--cflags", "--libs", "message_filters"]
    flags = subprocess.run(asked, capture_output=True, text=True, check=False)
    if flags.returncode != 0:
        raise MissingError(remedy)
    source, driver = HERE / "drive.cpp", BUILD / "ros_drive"
    if not driver.exists() or driver.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        fresh = driver.with_suffix(".new")
        command = ["g++", "-std=c++17", "-O2", "-DNDEBUG", str(source), "-o", str(fresh)]
        subprocess.run([*command, *shlex.split(flags.stdout)], check=True)
        fresh.replace(driver)
    return Peer("ROS C++", (str(driver),))


def installed() -> tuple[list[Peer], list[str]]:
    """(the peers that are there, what is missing and how to install it)."""
    peers, missing = [], []
    for find in (python_peer, cpp_peer):
        try:
            peers.append(find())
        except MissingError as error:
            missing.append(str(error))
    return peers, missing
