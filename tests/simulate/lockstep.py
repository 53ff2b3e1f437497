"""A replay in lock-step: whatever is slow, nothing is dropped, and every run is the same."""

import hashlib
from dataclasses import replace

from rvsense.config import Replay
from tests.simulate.checks import BrokenError
from tests.simulate.player import data_set
from tests.simulate.scenario import Scenario
from tests.simulate.world import World

ALLOWED = frozenset(
    (
        *("hang", "bad_model", "raising_model", "unfit_model", "damaged_model", "overload"),
        *("stalled_subscriber", "day_set", "reload", "slow_disk", "full_disk", "failing_disk"),
    )
)
"""What may go wrong without a loss: the learner lives, and the cable is whole."""
FRAMES = 150
WITHIN_S = 300.0


def lockstep(scenario: Scenario) -> Scenario:
    """The same scenario as a replay, with a learner of its own, of a data set of its sites."""
    config = replace(
        scenario.config,
        learn=True,
        learner="",
        replay=Replay(path="/data", speed=0.0, exit_at_end=True),
    )
    allowed = tuple(fault for fault in scenario.faults if fault.name in ALLOWED)
    return replace(scenario, config=config, faults=allowed)


def stage(scenario: Scenario, turns: str) -> World:
    """Its world, with the data set to be played."""
    world = World(scenario, turns)
    world.messages = data_set(scenario.seed, len(scenario.streams), FRAMES)
    return world


def play(world: World) -> tuple[str, ...]:
    """Run a replay to its end; what must be the same in every run of it."""
    messages, learned = list(world.messages), hashlib.sha256()
    world.checks.unhurried = False  # a full pipe is how lock-step paces its source
    world.on_learned = lambda item: learned.update(item.encode())
    world.start()
    for second in range(1, round(WITHIN_S)):
        world.run(second)
        if world.exit_status is not None:
            break
    if world.exit_status != 0:
        raise BrokenError("lock-step", f"exit status {world.exit_status} within {WITHIN_S:g} s")
    loop = world.newest_loop
    tally, outbox = loop.parts.tally, loop.parts.learner.outbox
    radar = sum(message.sent.kind == "radar" for message in messages)
    if world.checks.books.results != radar:
        raise BrokenError(
            "lock-step", f"{radar} radar frames, {world.checks.books.results} results"
        )
    if tally.dropped or sum(outbox.dropped.values()) or tally.rejected:
        raise BrokenError(
            "lock-step", f"dropped {tally.dropped}, {outbox.dropped}, {tally.rejected}"
        )
    if not outbox.empty or world.checks.learned_total != tally.learn:
        raise BrokenError("lock-step", f"{tally.learn} pairs, {world.checks.learned_total} learned")
    if loop.ending is None or loop.ending.given_up:
        raise BrokenError("lock-step", "the end of the replay was not seen")
    return tally.pair_log_sha256, learned.hexdigest()
