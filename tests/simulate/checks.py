"""What must hold after every event (safety), and what must come back once faults stop (liveness).

The checks look at the daemon from outside: at what it has read from its sockets, at what it
publishes, at what it hands to the learner and at what it says of itself. They keep books of
their own, and compare.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rvsense import results
from rvsense.frames import CLASSES
from rvsense.link import Label, Pair
from tests.simulate.models import NUMBER_SCALE
from tests.simulate.sources import Message, Sent
from tests.simulate.threads import BusyError

ANSWER_S = 1.5
"""A frame's answer takes at most so long while the inference thread keeps up."""


class BrokenError(AssertionError):
    """A guarantee that does not hold."""

    def __init__(self, guarantee: str, detail: str) -> None:
        super().__init__(f"{guarantee}: {detail}")
        self.guarantee, self.detail = guarantee, detail


@dataclass
class Books:
    """What one life of the daemon has read and said, by our own count."""

    read: Counter[str] = field(default_factory=Counter)
    results: int = 0
    pairs: int = 0
    answered: dict[int, int] = field(default_factory=dict)
    last: dict[str, tuple[int, int]] = field(default_factory=dict)
    result_seq: dict[str, int] = field(default_factory=dict)
    learned: set[tuple[str, int, int]] = field(default_factory=set)


class Checks:
    """All that is looked at; `loop` is the daemon's, once it has one."""

    def __init__(self) -> None:
        self.books = Books()
        self.frames: dict[int, Sent] = {}
        self.models: dict[str, tuple[int, str]] = {}
        self.refused: set[str] = set()
        self.loop: Any = None
        self.saved_step = 0
        self.results_total = self.pairs_total = self.learned_total = 0
        self.swaps_total = 0
        self.unhurried = True

    def new_life(self) -> None:
        """The daemon starts, again."""
        self.books = Books()
        self.loop = None

    def truth_of(self, item: Any) -> Sent:
        """What a frame that the daemon holds really is."""
        if item.kind == "radar":
            return self.frames[item.source["number"]]
        return self.frames[int.from_bytes(item.image[2:])]

    def read(self, message: list[bytes]) -> None:
        """The daemon has taken a message from intake."""
        if isinstance(message, Message):
            self.books.read[message.sent.kind] += 1
            self.frames[message.sent.number] = message.sent

    def published(self, parts: list[bytes]) -> None:
        """The daemon has published something."""
        if parts[0].startswith(results.TOPIC.encode()):
            self._result(results.unpack(parts))
        elif parts[0] == b"model":
            self.swaps_total += 1

    def learned(self, pair: Pair) -> None:
        """A pair has come to the learner."""
        self.learned_total += 1
        key = (pair.site, pair.epoch, pair.stamp_ns)
        if key in self.books.learned:
            raise BrokenError("L2", f"pair {key} reached the learner twice")
        self.books.learned.add(key)
        camera = self.frames[int.from_bytes(pair.image[2:])]
        if camera.site != pair.site:
            raise BrokenError("P1", f"an image of {camera.site} in a pair of {pair.site}")

    def taught(self, label: Label) -> None:
        """A label has come to the learner."""
        if label.label not in CLASSES:
            raise BrokenError("L", f"label {label.label}")

    def saved(self, step: int) -> None:
        """The learner has announced a checkpoint."""
        self.saved_step = step

    def restored(self, step: int, pairs: int, pool: list[int]) -> None:
        """The learner has started from what it found on disk."""
        if step < self.saved_step:
            raise BrokenError(
                "L6", f"checkpoint of step {self.saved_step} was announced, {step} found"
            )
        newest = list(range(max(0, pairs - len(pool)), pairs))
        if sorted(pool) != newest:
            raise BrokenError(
                "L6", f"the pool of step {step} holds {sorted(pool)[:5]}…, not {newest[:5]}…"
            )
        self.saved_step = step

    def after_event(self) -> None:
        """The books balance, whenever the I/O thread is between two turns."""
        loop = self.loop
        if loop is None or not loop.parked:
            return
        try:
            waiting = loop.waiting
        except BusyError:
            return
        books, tally = self.books, loop.parts.tally
        turned_away = tally.rejected["too_many_sites"]
        if books.read["malformed"] + turned_away != sum(tally.rejected.values()):
            raise BrokenError("S1", f"{books.read['malformed']} malformed: {dict(tally.rejected)}")
        taken = {kind: tally.received[kind] for kind in ("radar", "camera")}
        for kind, count in taken.items():
            if not count <= books.read[kind] <= count + turned_away:
                raise BrokenError(
                    "S1", f"{books.read[kind]} {kind} frames read, {count} in the tally"
                )
        self._check_outbox(loop.parts)
        settled = books.results + sum(tally.dropped.values()) + waiting
        radar = tally.received["radar"]
        if not radar <= books.read["radar"] <= radar + turned_away:
            raise BrokenError(
                "S1", f"{books.read['radar']} radar frames read, {radar} in the tally"
            )
        if taken["radar"] != settled:
            raise BrokenError(
                "S1",
                f"{taken['radar']} radar frames taken in; {books.results} results, "
                f"dropped {dict(tally.dropped)}, {waiting} waiting",
            )
        if not tally.serving(waiting)["balanced"]:
            raise BrokenError("S1", f"the ledger: {tally.serving(waiting)}")

    def _check_outbox(self, parts: Any) -> None:
        """Every pair for the learner was taken, was counted as lost, or waits."""
        if parts.learner is None:
            return
        outbox = parts.learner.outbox
        lost = sum(outbox.dropped.values())
        if parts.tally.learn != outbox.forwarded + lost + outbox.pending_pairs:
            raise BrokenError(
                "pairs for the learner",
                f"{parts.tally.learn}; {outbox.forwarded} taken, {lost} lost, "
                f"{outbox.pending_pairs} wait",
            )

    def _result(self, result: results.Result) -> None:
        if result.repeat:
            return
        books, number = self.books, result.source["number"]
        sent = self.frames[number]
        frame = sent.frame
        assert frame is not None
        books.results += 1
        self.results_total += 1
        what = f"result for {result.site} {result.epoch}/{result.seq}"
        if books.answered.setdefault(number, books.results) != books.results:
            raise BrokenError("S1", f"{what}: the second")
        if (result.site, result.seq, result.stamp_ns, result.epoch) != (
            frame.site, frame.seq, frame.stamp_ns, frame.epoch,
        ):  # fmt: skip
            raise BrokenError("S1", f"{what}: not what was asked")
        if (sent.life, frame.seq) <= books.last.get(result.site, (-1, -1)):
            raise BrokenError("order", f"{what}: after {books.last[result.site]}")
        books.last[result.site] = sent.life, frame.seq
        if result.result_seq != books.result_seq.get(result.site, -1) + 1:
            raise BrokenError("order", f"{what}: result_seq {result.result_seq}")
        books.result_seq[result.site] = result.result_seq
        waited_s = (result.published_ns - result.received_ns) / 1e9
        if self.unhurried and waited_s > ANSWER_S:
            raise BrokenError("S2", f"{what}: took {waited_s:.2f} s")
        self._check_model(result, what)

    def _check_model(self, result: results.Result, what: str) -> None:
        if result.model is None:
            if result.abstain != "no_model" or result.label is not None:
                raise BrokenError("S5", f"{what}: an answer without a model")
            return
        number, kind = self.models[result.model.id]
        if result.ood_score is None or round(result.ood_score / NUMBER_SCALE) != number:
            raise BrokenError("S5", f"{what}: made by another model than {result.model.id}")
        if kind in ("unfit", "damaged") or result.model.id in self.refused:
            raise BrokenError("S4", f"{what}: by {result.model.id}, which is {kind}")
