"""So many inputs into one function: what it answers is counted, what it should not is kept."""

import hashlib
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.report import Figure, Report, exactly, told

MOST_FAILURES = 10
"""After so many there is enough to look into."""
SHOWN_BYTES = 512


class BrokenError(AssertionError):
    """What was answered is not what may be answered."""


@dataclass(frozen=True, slots=True)
class Case:
    """One input: how it was made, and what goes in."""

    how: str
    parts: Sequence[bytes]


@dataclass(slots=True)
class Driven:
    """What came of it: counts of answers, and failures as texts."""

    seed: int
    tried: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def fail(self, name: str, index: int, case: Case, error: BaseException) -> None:
        """Keep an input that was not taken as it should be."""
        what = traceback.format_exception(error)
        where = _written(name, self.seed, index, case)
        shown = " ".join(bytes(part[:SHOWN_BYTES]).hex() or "-" for part in case.parts)
        self.failures.append(
            f"FAILED: {name} --seed {self.seed} --only {index} ({case.how})\n"
            f"{''.join(what)}  {shown}\n  whole in {where}"
        )

    def named(self, name: str) -> "Driven":
        """The same, with whose answers they are."""
        answers = Counter({f"{name}: {answer}": n for answer, n in self.answers.items()})
        return Driven(self.seed, self.tried, answers, self.made, self.failures)

    def and_then(self, other: "Driven") -> "Driven":
        """Both together."""
        return Driven(
            self.seed,
            self.tried + other.tried,
            self.answers + other.answers,
            self.made + other.made,
            self.failures + other.failures,
        )

    def report(self, *more: Figure, failures: str = "unexpected") -> Report:
        """A table: counts by answer, then `more`, then that nothing failed."""
        rows = [told("inputs", self.tried)]
        rows += [told(f"… {what}", count) for what, count in sorted(self.made.items())]
        rows += [told(f"answer {what}", count) for what, count in sorted(self.answers.items())]
        return Report([*rows, *more, exactly(failures, len(self.failures), 0)], self.failures)


def number(seed: int, index: int) -> Random:
    """The source of chance of one input."""
    return Random((seed << 40) + index)


def drive(
    options: Any,
    name: str,
    make: Callable[[Random], Case],
    feed: Callable[[Case], str],
    *,
    often: Callable[[int], None] = lambda _: None,
    share: float = 1.0,
) -> Driven:
    """Make inputs and feed them.

    Args:
        options: `messages`, `seed` and `only`.
        name: of the target, for who tries a failure again.
        make: an input by chance.
        feed: tries it; what it returns is counted, what it raises is a failure.
        often: told the number of each input after it was tried.
        share: of `messages`, where several drives make a target.
    """
    done = Driven(options.seed)
    numbers = range(max(1, round(options.messages * share)))
    for index in numbers if options.only is None else [options.only]:
        case = make(number(options.seed, index))
        done.tried += 1
        done.made[case.how] += 1
        try:
            done.answers[feed(case)] += 1
        except Exception as error:
            done.fail(name, index, case, error)
            if len(done.failures) >= MOST_FAILURES:
                break
        often(index)
    return done


def _written(name: str, seed: int, index: int, case: Case) -> Path:
    folder = Path(tempfile.gettempdir()) / "rvsense-fuzz"
    folder.mkdir(exist_ok=True)
    lines = [bytes(part).hex() for part in case.parts]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
    path = folder / f"{name.replace('/', '-')}-{seed}-{index}-{digest}.hex"
    path.write_text("\n".join(lines) + "\n")
    return path
