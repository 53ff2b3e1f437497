"""One damaged file in a state directory or a recording: named, and done without.

Each file of a run that has ended is damaged at sampled places, most of them near its ends. Every
loader is tried on the copy in this process, and a few copies are given to a whole daemon.
"""

import argparse
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from tests.chaos import torn, wreck
from tests.chaos.damage import Damage, copy, draw
from tests.chaos.report import Report, at_least, exactly, told
from tests.chaos.served import SMALL
from tests.chaos.stage import add_data, data, staged
from tests.chaos.wreck import Verdict
from tests.whole.running import PATIENCE_S

NAME = "corrupt"
HELP = "one damaged file of a state directory or a recording, at sampled places"

TRIALS, QUICK_TRIALS = 300, 40
DAEMONS, QUICK_DAEMONS = 8, 1
MORE_LEARNING = """
ema_samples = 64
models_kept = 3
"""

Check = Callable[[Path, Damage], Verdict]


def add_options(parser: argparse.ArgumentParser) -> None:
    """How often, and of what."""
    add_data(parser)
    parser.add_argument("--trials", type=int, help=f"files damaged ({TRIALS})")
    parser.add_argument("--daemons", type=int, help=f"of these tried on a whole daemon ({DAEMONS})")


def run(options: argparse.Namespace) -> Report:
    """Damage, load, compare."""
    torch.set_num_threads(1)
    trials = options.trials or (QUICK_TRIALS if options.quick else TRIALS)
    daemons = options.daemons or (QUICK_DAEMONS if options.quick else DAEMONS)
    random_ = random.Random(options.seed)
    source = data(options, sequences=4, frames=20)
    state_dir, recording = learned(options.work, source), recorded(options.work)
    whole = wreck.survey(state_dir, options.work / "spare")
    messages = torn.survey(recording / RECORDING)
    seen = Seen()
    kinds = parts(state_dir, recording)
    checks: dict[str, Check] = {
        "model": partial(wreck.check_models, whole),
        "note of what serves": partial(wreck.check_models, whole),
        "exam": partial(wreck.check_exam, whole),
        "checkpoint": partial(wreck.check_learner, whole),
        "rows of a table": partial(wreck.check_learner, whole),
        "lock": partial(wreck.check_locks, whole),
        "recording": partial(torn.check, messages),
    }
    for number in range(trials):
        kind = list(kinds)[number % len(kinds)]
        folder, names = kinds[kind]
        damage = draw(random_, folder, random_.choice(names))
        seen.note(kind, damage, _tried(checks[kind], folder, damage, options.work / "copy"))
    for number in range(daemons):
        kind = [kind for kind in kinds if kind != "recording"][number % (len(kinds) - 1)]
        damage = draw(random_, state_dir, random_.choice(kinds[kind][1]))
        lived = _lived(options.work, state_dir, damage, whole)
        seen.note("whole daemon", damage, lived)
    return seen.report(whole, len(messages), trials + daemons)


RECORDING = "rvsense-00000.mcap"


def learned(work: Path, source: str) -> Path:
    """The state directory of a daemon that has learned, saved and ended."""
    replay = ("--replay", source, "--speed", "max", "--labels", "0.8", "--exit-at-end")
    with staged(work, *replay, config=SMALL + MORE_LEARNING) as stage:
        stage.daemon.finish()
    return work / "state"


def recorded(work: Path) -> Path:
    """A folder with a recording of a few frames."""
    sizes = ["--sequences", "2", "--frames", "6", "--sites", "2", "--seed", "3"]
    for command in (
        ["simulate", str(work / "few"), *sizes],
        ["record", "--from", str(work / "few"), str(work / "recording"), "--labels", "1"],
    ):
        words = [sys.executable, "-P", "-m", "rvsense", *command]
        subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE_S)
    (path,) = (work / "recording").glob("*.mcap")
    path.rename(path.with_name(RECORDING))
    return path.parent


def parts(state_dir: Path, recording: Path) -> dict[str, tuple[Path, list[str]]]:
    """What may be damaged: kind → folder and the names of files in it."""

    def found(pattern: str) -> tuple[Path, list[str]]:
        names = [str(path.relative_to(state_dir)) for path in sorted(state_dir.glob(pattern))]
        assert names, pattern
        return state_dir, names

    return {
        "model": found("models/step-*/*"),
        "note of what serves": found("serving.json"),
        "exam": found("exam/*.frame"),
        "checkpoint": found("checkpoints/checkpoint-*/*"),
        "rows of a table": found("checkpoints/chunks/*"),
        "lock": found("*lock"),
        "recording": (recording, [RECORDING]),
    }


def _tried(check: Check, folder: Path, damage: Damage, at: Path) -> Verdict:
    copy(folder, at)
    damage.apply(at)
    try:
        return check(at, damage)
    except Exception as error:  # what this is about: no loader may let anything through
        return Verdict("raised", [f"unhandled: {error!r}"])
    finally:
        shutil.rmtree(at)


def _lived(work: Path, state_dir: Path, damage: Damage, whole: wreck.Whole) -> Verdict:
    """A daemon with its learner begins there, and ends."""
    copy(state_dir, work / "lived")
    damage.apply(work / "lived")
    with staged(work, state="lived", config=SMALL + MORE_LEARNING) as stage:
        stage.daemon.wait_for("learner_ready")
        status = stage.daemon.stop()
    shutil.rmtree(work / "lived")
    serves = status["model"] and f"{status['model']['id']}"
    wrong = [] if serves in whole.models else [f"{serves} serves"]
    wrong += ["a traceback" for line in stage.daemon.lines if "Traceback" in line]
    wrong += [] if not stage.said("learner_ended") else ["the learner ended"]
    return Verdict("began and ended in order", wrong)


@dataclass(slots=True)
class Seen:
    """Counts over all trials, and a line for each that went wrong."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def note(self, kind: str, damage: Damage, verdict: Verdict) -> None:
        """Count one."""
        self.outcomes.setdefault(kind, Counter())[verdict.outcome] += 1
        self.wrong += [(kind, f"{damage}: {what}") for what in verdict.wrong]

    def report(self, whole: wreck.Whole, messages: int, trials: int) -> Report:
        """The figures."""
        counts = {kind: counter.total() for kind, counter in self.outcomes.items()}
        figures = [
            exactly("files damaged", sum(counts.values()), trials),
            at_least("models to choose from", len(whole.models), 2),
            at_least("checkpoints to choose from", len(whole.chunks), 2),
            at_least("frames of the exam", len(whole.exam), 1),
            at_least("messages of the recording", messages, 10),
        ]
        for kind, counter in self.outcomes.items():
            figures += [told(f"{kind}: {what}", count) for what, count in counter.items()]
            wrong = sum(of == kind for of, _ in self.wrong)
            figures.append(exactly(f"{kind}: anything else", wrong, 0))
        return Report(figures, [f"{kind}: {what}" for kind, what in self.wrong[:40]])
