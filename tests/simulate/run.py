"""Runs one seed: faults first, then calm, then what must have come back, then an orderly end."""

import dataclasses
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulate.checks import BrokenError
from tests.simulate.lockstep import lockstep, play, stage
from tests.simulate.scenario import CALM_S, FAULTY_S, KILLS, LONG_CALM_S, Scenario, draw
from tests.simulate.world import World

WINDOW_S = 4.0
"""Everything must be seen to flow within one such stretch of the calm."""
SETTLE_S = 3.5
"""Labels come up to 1.5 s after their frames, and what has no partner goes after 2 s."""
STOP_S = 6.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a seed. `digest` is of every event, `failure` empty when all held."""

    seed: int
    digest: str
    events: int
    results: int
    pairs: int
    failure: str = ""
    tail: tuple[str, ...] = ()
    seen: Counter[str] = field(default_factory=Counter)

    def as_text(self) -> str:
        """One line, or all that helps to find out why."""
        line = (
            f"seed {self.seed}: {self.events} events, {self.results} results, "
            f"{self.pairs} pairs learned, {self.digest[:16]}"
        )
        if not self.failure:
            return line
        return "\n".join(
            (*self.tail, "", line, self.failure, f"python -m tests.simulate --seed {self.seed}")
        )


def run_seed(seed: int) -> Report:
    """Run a seed to its end; one in eight is a replay in lock-step, run twice."""
    scenario = draw(seed)
    if seed % 8 != 7:
        return run_scenario(scenario)
    replay, outcomes = lockstep(scenario), []
    for turns in ("turns", "other turns"):
        report = _run(stage(replay, turns), lambda world: outcomes.append(play(world)))
        if report.failure:
            return report
    if outcomes[0] != outcomes[1]:
        failure = f"broken: lock-step: pairs and what was learned: {outcomes}"
        return dataclasses.replace(report, failure=failure)
    return report


def run_scenario(scenario: Scenario) -> Report:
    """Run a scenario to its end."""
    return _run(World(scenario), _live)


def _run(world: World, live: Callable[[World], None]) -> Report:
    failure = ""
    try:
        with world.entered():
            live(world)
    except BrokenError as broken:
        failure = f"broken: {broken}"
    except Exception:
        failure = (
            f"a thread of the daemon, or the simulation itself, raised\n{traceback.format_exc()}"
        )
    checks = world.checks
    return Report(
        world.scenario.seed,
        world.digest,
        world.scheduler.events,
        checks.results_total,
        checks.learned_total,
        failure,
        tuple(world.tail) if failure else (),
        world.seen,
    )


def _live(world: World) -> None:
    killed = any(fault.name in KILLS for fault in world.scenario.faults)
    bound_s = FAULTY_S + (LONG_CALM_S if killed else CALM_S)
    world.start()
    now_s = FAULTY_S
    world.run(now_s)
    missing = {"the daemon": 0}
    while missing:
        if now_s >= bound_s:
            raise BrokenError(
                "liveness", f"{', '.join(missing)}: none after {now_s - FAULTY_S:g} s calm"
            )
        before = _flow(world)
        now_s += WINDOW_S
        world.run(now_s)
        after = _flow(world)
        missing = {what: n for what, n in after.items() if n <= before.get(what, 0)}
    _end(world, now_s)


def _flow(world: World) -> dict[str, int]:
    """What must grow while nothing goes wrong."""
    loop, checks = world.checks.loop, world.checks
    if loop is None:
        return {"the daemon": 0}
    flow = {}
    for name in (source.site for source in world.sources):
        site = loop.parts.core.sites.get(name)
        flow[f"pairs of {name}"] = 0 if site is None else site.pairer.ledger().radar.paired
        flow[f"results of {name}"] = checks.books.result_seq.get(name, -1) + 1
    if world.scenario.config.learn:
        flow["pairs learned"] = checks.learned_total
        flow["models swapped"] = loop.parts.swaps
    return flow


def _end(world: World, now_s: float) -> None:
    """SIGTERM: everything is answered, and the daemon ends with status 0 in time."""
    for source in world.sources:
        source.ended = True
    world.run(now_s + SETTLE_S)
    loop = world.checks.loop
    if loop.waiting:
        raise BrokenError("liveness", f"{loop.waiting} frames wait, and nothing more comes")
    learner = loop.parts.learner
    if learner is not None and not learner.outbox.empty:
        raise BrokenError("liveness", "the outbox is not empty, and nothing more comes")
    if world.asker.replied != world.asker.asked:
        raise BrokenError("requests", f"{world.asker.asked} asked, {world.asker.replied} replied")
    world.stop_daemon()
    world.run(now_s + SETTLE_S + STOP_S)
    for site in loop.parts.core.sites.values():
        world.seen["P4 compared"] += site.pairer.check_order()
    if world.exit_status != 0:
        raise BrokenError("end", f"SIGTERM: exit status {world.exit_status} within {STOP_S:g} s")
