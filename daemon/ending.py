"""How a replay comes to its end. A pure state machine; the I/O thread does what it says.

    playing ──player done──▶ arriving ──all messages in──▶ answering ──all answered──▶
    learning ──learner drained (or none)──▶ loading ──last model checked──▶ done

Rules:
1. Nothing is flushed before as many messages as the player sent have come in, and a turn has
   passed in which none came: others may send, too.
2. The learner is told of the end after it was given every pair and label.
3. Messages that do not come in within `patience_s` of the last one are given up, and said so;
   time in which none is let in, since lock-step waits for the learner, does not count.
4. In lock-step a learner cut off before the end is the end: what it had is not what the same run
   gives, and pairs on their way are lost.
"""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where the replay stands."""

    PLAYING = "playing"
    ARRIVING = "arriving"
    ANSWERING = "answering"
    LEARNING = "learning"
    LOADING = "loading"
    DONE = "done"


class Do(StrEnum):
    """What is to be done on entering a phase."""

    FLUSH = "flush"
    DRAIN = "drain"
    REPORT = "report"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine looks at.

    reading   intake is read; not so while lock-step waits for the learner
    cut       the link to a learner in lock-step broke, once it had answered
    """

    now_s: float
    sent: int | None
    arrived: int
    quiet: bool
    waiting: int
    learner: bool
    outbox_empty: bool
    drained: bool
    loader_idle: bool
    reading: bool = True
    cut: bool = False


@dataclass(slots=True)
class Ending:
    """The machine; `advance` is called on every turn of the loop."""

    patience_s: float = 5.0
    phase: Phase = Phase.PLAYING
    given_up: int = 0
    _arrived: int = -1
    _arrived_at_s: float = 0.0

    def advance(self, facts: Facts) -> list[Do]:
        """What is to be done now; empty most of the time."""
        if facts.cut and self.phase is not Phase.DONE:
            return [Do.FAIL]
        todo: list[Do] = []
        while (step := self._step(facts)) is not None:
            self.phase = step
            match step:
                case Phase.ANSWERING:
                    todo.append(Do.FLUSH)
                    return todo  # what the flush brings is only in the next facts
                case Phase.LEARNING if facts.learner:
                    todo.append(Do.DRAIN)
                    return todo
                case Phase.DONE:
                    todo.append(Do.REPORT)
        return todo

    def _step(self, facts: Facts) -> Phase | None:
        match self.phase:
            case Phase.PLAYING if facts.sent is not None:
                return Phase.ARRIVING
            case Phase.ARRIVING if self._all_in(facts):
                return Phase.ANSWERING
            case Phase.ANSWERING if facts.waiting == 0 and (
                facts.outbox_empty or not facts.learner
            ):
                return Phase.LEARNING
            case Phase.LEARNING if facts.drained or not facts.learner:
                return Phase.LOADING
            case Phase.LOADING if facts.loader_idle:
                return Phase.DONE
        return None

    def _all_in(self, facts: Facts) -> bool:
        if facts.arrived != self._arrived or not facts.reading:
            self._arrived, self._arrived_at_s = facts.arrived, facts.now_s
        missing = (facts.sent or 0) - facts.arrived
        if missing > 0 and facts.now_s - self._arrived_at_s > self.patience_s:
            self.given_up = missing
            return True
        return missing <= 0 and facts.quiet
