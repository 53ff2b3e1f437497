"""When to kill: a moment drawn, most often one within a save."""

import random
from dataclasses import dataclass

from tests.chaos.saves import Saves, Seen

AIMS = {"chunks": 10, "aside": 25, "writing": 25, "rename": 25, "any": 10, "start": 5}
"""In so many of a hundred runs:

chunks   as soon as a save writes rows of a table
aside    as soon as its folder begins, under another name
writing  some time into that
rename   about when the folder gets its name, or as soon as it has it
any      some time after the start, whatever goes on then
start    some time into the start
"""
ANY_WITHIN_S = 2.5
AROUND = (0.8, 1.1)
"""Of the usual time to the rename."""


@dataclass(slots=True)
class Aim:
    """What one run aims at; `at` is when to strike, once that is known.

    skip      saves to let pass
    share     of whatever time there is to wait
    at_once   of `rename`: wait for it; else guess when it comes
    """

    what: str
    skip: int
    share: float
    at_once: bool
    at: float | None = None

    def started(self, now: float, usual_s: float) -> None:
        """The process has been started; starts took `usual_s`."""
        if self.what == "start":
            self.at = now + self.share * usual_s

    def ready(self, now: float) -> None:
        """It has come up."""
        if self.what == "any":
            self.at = now + self.share * ANY_WITHIN_S

    def see(self, seen: Seen, saves: Saves) -> None:
        """A save has gone on."""
        if self.skip:
            self.skip -= seen.what == "renamed"
        elif self.at is None:
            self.at = self._after(seen, saves)

    def _after(self, seen: Seen, saves: Saves) -> float | None:
        match (self.what, seen.what):
            case ("chunks", "chunks") | ("aside", "aside"):
                return seen.at
            case ("writing", "aside"):
                return seen.at + self.share * saves.writing_s
            case ("rename", "renamed") if self.at_once:
                return seen.at
            case ("rename", "aside") if not self.at_once:
                first, last = AROUND
                return seen.at + (first + self.share * (last - first)) * saves.writing_s
        return None


def draw(random_: random.Random) -> Aim:
    """The aim of one run."""
    (what,) = random_.choices(list(AIMS), list(AIMS.values()))
    return Aim(what, random_.choice((0, 1, 1)), random_.random(), random_.random() < 0.5)
