"""Daemon and learner, tap and recorder: whatever one end says, the other complains at most."""

import argparse
from collections.abc import Callable

from tests.chaos.report import Report, at_most, exactly
from tests.fuzz.drive import Case, Driven, drive
from tests.fuzz.ends import LearnerEnd, daemon_end
from tests.fuzz.memory import used_mb
from tests.fuzz.talk import FROM_DAEMON, FROM_LEARNER, Said, said
from tests.fuzz.taps import Recorder, Subscribers, subscription, tapped

NAME = "link"
HELP = "daemon and learner, tap, subscriptions: complaints, and nothing worse"
MESSAGES, QUICK = 40_000, 1_000

WARM, SHARE = 0.25, 0.4
GROWTH_MB = 16.0


def run(options: argparse.Namespace) -> Report:
    """A share of the messages to each."""
    learner = LearnerEnd(options.work / "learner")
    learner.take_a_step()  # what a first one loads is no growth
    first, ours_mb = _weighed(options, FROM_DAEMON, lambda case: learner.hear(case.parts))
    with daemon_end(options.work) as daemon:
        second, theirs_mb = _weighed(options, FROM_LEARNER, lambda case: daemon.hear(case.parts))
        subscribers = Subscribers(daemon)
        third = drive(options, NAME, subscription, subscribers.say, share=0.1)
        left = subscribers.close()
    recorder = Recorder(options.work)
    fourth = drive(options, NAME, tapped, recorder.hear, share=0.1)
    recorder.close()
    return (
        first.named("learner")
        .and_then(second.named("daemon"))
        .and_then(third.named("results"))
        .and_then(fourth.named("recorder"))
        .report(
            exactly("subscribers left when all have gone", left, 0),
            at_most("memory of a learner grown since its first quarter", ours_mb, GROWTH_MB, " MB"),
            at_most(
                "memory of a daemon grown since its first quarter", theirs_mb, GROWTH_MB, " MB"
            ),
        )
    )


def _weighed(
    options: argparse.Namespace, by: Said, hear: Callable[[Case], str]
) -> tuple[Driven, float]:
    """Messages of one end, and how much the other grew by the later ones."""
    memory_mb: list[float] = []

    def often(index: int) -> None:
        if not memory_mb and index >= WARM * SHARE * options.messages:
            memory_mb.append(used_mb())

    done = drive(options, NAME, lambda rng: said(rng, by), hear, often=often, share=SHARE)
    return done, used_mb() - memory_mb[0] if memory_mb else 0.0
