"""Through a real daemon's intake: every message in the books, valid frames answered meanwhile."""

import argparse
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from rvsense import wire
from rvsense.errors import FrameError
from tests.chaos.report import Report, at_most, exactly, told
from tests.fuzz import zmtp
from tests.fuzz.drive import Case, drive
from tests.fuzz.frames import frame
from tests.fuzz.living import MAX_SITES, SITE, Living, living

NAME = "live"
HELP = "the intake of a real daemon: an exact ledger, flat memory, valid frames answered"
MESSAGES, QUICK = 100_000, 1_500

PULSE_EVERY = 20
WEIGH_EVERY = 500
KNOCK_EVERY = 2_500
REJECTED, DENIED = "rvsense_messages_rejected_total", "rvsense_auth_denied_total"
MOST_LINES = 200
"""Five of each reason a minute, and what a start says."""


class Ledger:
    """What the daemon's books must say, by what was sent."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.sites: set[str] = set()

    @property
    def sent(self) -> int:
        """Messages so far."""
        return self.received.total() + self.rejected.total()

    def sends(self, parts: Sequence[bytes]) -> str:
        """A message is sent; what should become of it."""
        try:
            found = wire.decode(parts)
        except FrameError as error:
            self.rejected[error.reason] += 1
            return f"rejected {error.reason}"
        if found.site not in self.sites and len(self.sites) >= MAX_SITES:
            self.rejected["too_many_sites"] += 1
            return "rejected too_many_sites"
        self.sites.add(found.site)
        self.received[found.kind] += 1
        return found.kind


def run(options: argparse.Namespace) -> Report:
    """Send, and compare the books."""
    ledger = Ledger()
    ledger.sites.add(SITE)
    with living(options.work) as daemon:

        def feed(case: Case) -> str:
            daemon.send(case.parts)
            return ledger.sends(case.parts)

        def often(index: int) -> None:
            if index % PULSE_EVERY == 0:
                daemon.pulse()
                ledger.received["radar"] += 1
            if index % WEIGH_EVERY == 0:
                daemon.weigh(index / options.messages)
            if index % KNOCK_EVERY == 0:
                knock(daemon, Random(index))

        done = drive(options, NAME, frame, feed, often=often)
        intake = daemon.taken(ledger.sent)
        return done.report(
            exactly("messages in the books", sum(map(_total, intake.values())), ledger.sent),
            exactly("received, other than sent", _apart(intake["received"], ledger.received), ""),
            exactly("rejected, other than sent", _apart(intake["rejected"], ledger.rejected), ""),
            exactly(
                "counted by metrics, other than sent",
                _apart(daemon.counted(REJECTED, "reason"), ledger.rejected),
                "",
            ),
            told("connections turned away", sum(daemon.counted(DENIED, "reason").values())),
            *daemon.figures(options.messages),
            at_most("lines in the log", len(daemon.lines), MOST_LINES),
        )


def knock(daemon: Living, rng: Random) -> None:
    """Bytes that are no ZeroMQ, or less and less of it, at one of the doors."""
    name = rng.choice(("intake", "results", "requests"))
    host, _, port = daemon.stage.endpoints[name].removeprefix("tcp://").rpartition(":")
    words = rng.choice(
        (
            b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
            rng.randbytes(rng.choice((1, 64, 4096))),
            zmtp.GREETING[: rng.randrange(64)],
            zmtp.GREETING + rng.randbytes(300),
            zmtp.GREETING.replace(b"NULL", b"NONE"),
        )
    )
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(words)


def _total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def _apart(counts: Mapping[str, int], expected: Mapping[str, int]) -> str:
    """Where two maps differ, in words; empty where they do not."""
    names = sorted(counts.keys() | expected.keys())
    return ", ".join(
        f"{name} {counts.get(name, 0)} for {expected.get(name, 0)}"
        for name in names
        if counts.get(name, 0) != expected.get(name, 0)
    )
