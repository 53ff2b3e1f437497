"""Both sides of a comparison, taken in turn in one run, and the table that shows them.

A shared machine changes its speed while a benchmark runs. So the two sides are measured one
after the other in each of several rounds, a ratio is formed within each round, and its median
and range over the rounds are what is quoted; the seconds beside it are for orientation alone.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rvsense.atomic import write_file

HEAD = ("what", "rvsense", "against", "ratio", "goal", "met")

Bound = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio has to be."""

    bound: Bound
    ratio: float

    def met_by(self, ratio: float) -> bool:
        """Whether this ratio is good enough."""
        return ratio <= self.ratio if self.bound == "at most" else ratio >= self.ratio

    def __str__(self) -> str:
        return f"{'≤' if self.bound == 'at most' else '≥'} {self.ratio:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: what each side took or gave in each round, in `unit`."""

    what: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    unit: str
    against: str
    goal: Goal | None = None

    def __post_init__(self) -> None:
        if len(self.ours) != len(self.theirs) or not self.ours:
            raise ValueError(f"{self.what}: {len(self.ours)} against {len(self.theirs)} rounds")

    @property
    def ratios(self) -> list[float]:
        """Ours over theirs, round by round."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """Their median."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else self.goal.met_by(self.ratio)

    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of `HEAD`."""
        low, high = min(self.ratios), max(self.ratios)
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return (
            self.what,
            f"{rounded(statistics.median(self.ours))} {self.unit}",
            f"{rounded(statistics.median(self.theirs))} {self.unit}, {self.against}",
            f"{rounded(self.ratio)} ({rounded(low)}–{rounded(high)})",
            "" if self.goal is None else str(self.goal),
            met,
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when figures were taken."""

    date: str
    machine: str
    commit: str
    python: str
    threads: str
    load: str

    def __str__(self) -> str:
        return (
            f"{self.date}; {self.machine}; Python {self.python}; commit {self.commit}; "
            f"threads: {self.threads}; load average {self.load}"
        )


def rounds(
    count: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure both sides in turn; who begins changes from round to round."""
    mine: list[float] = []
    other: list[float] = []
    for number in range(count):
        for side, kept in ((ours, mine), (theirs, other))[:: 1 if number % 2 == 0 else -1]:
            kept.append(side())
    return tuple(mine), tuple(other)


def rounded(value: float) -> str:
    """Three figures that count; none behind the point above 100."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def options(description: str | None, prog: str) -> argparse.ArgumentParser:
    """A parser with the options of every comparison."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {prog}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="under a minute; wider spread")
    parser.add_argument("--json", type=Path, help="write rows and setting there too")
    return parser


def report(rows: Sequence[Row], threads: str, path: Path | None = None) -> None:
    """Print the table under the setting; `threads` says how many each process had."""
    setting = setting_now(threads)
    print(f"{setting}\n\n{table(rows)}", flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {"setting": asdict(setting), "rows": [asdict(row) for row in rows]}
        write_file(path, json.dumps(found, indent=1).encode())


def read(path: Path) -> tuple[Setting, list[Row]]:
    """What `report` wrote."""
    found = json.loads(path.read_text())
    rows = []
    for row in found["rows"]:
        goal = None if row["goal"] is None else Goal(**row["goal"])
        sides = {side: tuple(row[side]) for side in ("ours", "theirs")}
        rows.append(Row(**row | sides | {"goal": goal}))
    return Setting(**found["setting"]), rows


def table(rows: Iterable[Row]) -> str:
    """Markdown."""
    ruler = ("---", *("---:" for _ in HEAD[1:]))
    lines = (HEAD, ruler, *(row.cells() for row in rows))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def setting_now(threads: str) -> Setting:
    """This machine, now."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return Setting(
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        commit=commit,
        python=platform.python_version(),
        threads=threads,
        load=f"{os.getloadavg()[0]:.1f}",
    )


def processor() -> str:
    """Its name, as the kernel has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or sys.platform
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
