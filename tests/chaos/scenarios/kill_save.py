"""kill -9 at random moments, most of them within a save: nothing announced is lost.

Runs are chained: each start finds what the kill before it left, and is itself the proof that
this loads. Half of them kill a learner whose daemon we are, half a daemon with its learner.
"""

import argparse
import random
import select
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rvsense import published
from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from tests.chaos import strikes
from tests.chaos.report import Report, at_least, exactly, told
from tests.chaos.saves import Saves, leftovers, number_of, step_of, whole
from tests.chaos.served import SMALL
from tests.chaos.victims import LonelyLearner, Victim, WholeDaemon
from tests.whole.running import simulate

NAME = "kill-save"
HELP = "kill -9 of the learner, or of the daemon with it, about its saves"
RUNS, QUICK_RUNS = 200, 4
CHAIN_RUNS = 20
"""Then a new folder, so that the very first save is aimed at as well."""
TURN_S = 0.01
GIVE_UP_S = 180.0
"""A run that has not met its moment by then is killed all the same."""
USUAL_START_S = 4.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """How many, and of what."""
    parser.add_argument("--runs", type=int, help=f"kills ({RUNS})")
    parser.add_argument("--victim", choices=("both", "learner", "daemon"), default="both")


def run(options: argparse.Namespace) -> Report:
    """Kill as often as asked; what was seen."""
    runs = options.runs or (QUICK_RUNS if options.quick else RUNS)
    kinds = ("learner", "daemon") if options.victim == "both" else (options.victim,)
    seen = Seen()
    for index, kind in enumerate(kinds):
        share = len(range(index, runs, len(kinds)))
        lane = Lane(kind, options.work / kind, random.Random(f"{options.seed} {kind}"), seen)
        lane.kill_times(share)
    return seen.report(runs)


@dataclass(slots=True)
class Seen:
    """Counts over all runs, and a line for each thing that went wrong."""

    met: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    kills: int = 0
    restored: int = 0
    announced: int = 0
    leftovers: int = 0

    def say(self, what: str, line: str) -> None:
        """Note something that may not happen."""
        self.wrong.setdefault(what, []).append(line)

    def report(self, runs: int) -> Report:
        """The figures."""
        within = sum(self.met[stage] for stage in ("chunks", "aside", "renamed"))
        bad = {what: len(self.wrong.get(what, [])) for what in WRONG}
        return Report(
            [
                exactly("kills", self.kills, runs),
                at_least("of these within a save", within, runs // 2),
                *(told(f"kills: {stage}", self.met[key]) for key, stage in STAGES.items()),
                told("checkpoints announced", self.announced),
                told("starts that had something to restore, and did", self.restored),
                told("kills that left something aside", self.leftovers),
                *(exactly(what, count, 0) for what, count in bad.items()),
            ],
            [f"{what}: {line}" for what, lines in self.wrong.items() for line in lines[:5]],
        )


STAGES = {
    "chunks": "rows of a table being written",
    "aside": "folder being written aside",
    "renamed": "renamed, nobody told yet",
    "between": "between saves",
    "starting": "before it was up",
}
LOST = "announced checkpoints lost"
TORN = "newest checkpoint not whole"
DOWN = "starts that did not come up"
BEHIND = "starts that did not restore the newest"
COMPLAINED = "complaints of a start about its files"
OUTLIVED = "leftovers that outlived the start"
MODELS = "published models not whole"
ALIVE = "processes left behind"
WRONG = (LOST, TORN, DOWN, BEHIND, COMPLAINED, OUTLIVED, MODELS, ALIVE)


class Lane:
    """Runs of one kind of victim, one after the other."""

    def __init__(self, kind: str, work: Path, random_: random.Random, seen: Seen) -> None:
        self._kind, self._work, self._random, self._seen = kind, work, random_, seen
        self._usual_start_s = USUAL_START_S
        self._promised = (0, 0)
        """Number and step of the newest checkpoint that was announced in this chain."""
        work.mkdir()
        self._dataset, self._config = work / "cruw", work / "small.toml"
        if kind == "daemon":
            simulate(self._dataset)
            self._config.write_text(SMALL)

    def kill_times(self, runs: int) -> None:
        """So many kills, in chains; each chain ends with a start that is only looked at."""
        for first in range(0, runs, CHAIN_RUNS):
            state_dir = self._work / "state"
            for number in range(first, min(first + CHAIN_RUNS, runs)):
                self._one(state_dir, f"{self._kind} {number}", strikes.draw(self._random))
            self._one(state_dir, f"{self._kind}, end of chain", None)
            shutil.rmtree(state_dir)
            self._promised = (0, 0)

    def _one(self, state_dir: Path, name: str, aim: strikes.Aim | None) -> None:
        """Start, look at how it came up, kill at the moment aimed at, look at what is left."""
        root = state_dir / "checkpoints"
        before = Before(_newest(root), leftovers(root))
        saves = Saves(root)
        victim = self._start(state_dir, saves)
        began = time.monotonic()
        try:
            up = self._follow(victim, saves, aim, lambda: self._look_at_start(name, victim, before))
        finally:
            victim.strike()
        saves.read()
        struck_at = saves.stage
        alive = victim.bury()
        if struck_at == "renamed" and not saves.stage:
            struck_at = ""  # it had been told of in the very last moment
        saves.close()
        if aim is not None:
            self._seen.kills += 1
            self._seen.met[struck_at or ("between" if up else "starting")] += 1
        if not up and time.monotonic() - began >= GIVE_UP_S:
            self._seen.say(DOWN, name)
        if alive:
            self._seen.say(ALIVE, f"{name}: {alive}")
        self._look_at_end(name, victim, state_dir, before if up else None)

    def _start(self, state_dir: Path, saves: Saves) -> Victim:
        if self._kind == "learner":
            return LonelyLearner(state_dir, saves)
        return WholeDaemon(state_dir, saves, self._dataset, self._config)

    def _follow(
        self, victim: Victim, saves: Saves, aim: strikes.Aim | None, came_up: Callable[[], None]
    ) -> bool:
        """Let it run until the moment to strike; returns whether it had come up by then."""
        began, up = time.monotonic(), False
        if aim is not None:
            aim.started(began, self._usual_start_s)
        while (now := time.monotonic()) - began < GIVE_UP_S:
            if (aim is None and up) or (aim is not None and aim.at is not None and now >= aim.at):
                return up
            victim.turn()
            if victim.ready is not None and not up:
                up, self._usual_start_s = True, now - began
                came_up()
                if aim is not None:
                    aim.ready(now)
            _wait(saves, aim)
            for event in saves.read():
                if aim is not None:
                    aim.see(event, saves)
        return up

    def _look_at_start(self, name: str, victim: Victim, before: "Before") -> None:
        seen, ready = self._seen, victim.ready
        assert ready is not None
        if before.newest is not None:
            if ready["restored"] and ready["step"] >= before.newest[1]:
                seen.restored += 1
            else:
                seen.say(BEHIND, f"{name}: step {ready['step']}, on disk {before.newest}")
        for complaint in victim.complaints:
            seen.say(COMPLAINED, f"{name}: {complaint}")

    def _look_at_end(
        self, name: str, victim: Victim, state_dir: Path, before: "Before | None"
    ) -> None:
        seen, root = self._seen, state_dir / "checkpoints"
        folders = checkpoint.numbered(root)
        if folders and not whole(folders[-1]):
            seen.say(TORN, f"{name}: {folders[-1].name}")
        best = _newest(root)
        seen.announced += len(victim.announced)
        self._promised = max([self._promised, *victim.announced.items()])
        there = best or (0, 0)
        if there[0] < self._promised[0] or there[1] < self._promised[1]:
            seen.say(LOST, f"{name}: {self._promised} was announced, {best} is there")
        for path in published.list_models(state_dir / "models"):
            try:
                published.open_model(path)
            except ModelError as error:
                seen.say(MODELS, f"{name}: {error}")
        left = leftovers(root)
        seen.leftovers += bool(left)
        if before is not None:
            # Those among the chunks go with the next save.
            gone = [path for path in before.left if path.parent == root or victim.announced]
            for path in set(gone) & set(left):
                seen.say(OUTLIVED, f"{name}: {path.name}")


@dataclass(frozen=True, slots=True)
class Before:
    """What a start finds: number and step of the newest whole checkpoint, and what lies about."""

    newest: tuple[int, int] | None
    left: list[Path]


def _wait(saves: Saves, aim: strikes.Aim | None) -> None:
    """For a save to go on, for the moment to strike, or for a turn's time."""
    left_s = TURN_S
    if aim is not None and aim.at is not None:
        left_s = min(left_s, max(0.0, aim.at - time.monotonic()))
    select.select([saves.fileno()], [], [], left_s)


def _newest(root: Path) -> tuple[int, int] | None:
    """Number and step of the newest whole checkpoint on disk."""
    for path in reversed(checkpoint.numbered(root)):
        if whole(path):
            return number_of(path), step_of(path)
    return None
