"""The pairing core against ROS's two synchronisers: speed, pairs kept and wrong partners.

Run: python -m bench.pairing [--quick] [--json FILE]. ROS comes from Debian (`bench/ros/peers.py`
says which packages); it needs no master. Every side is fed the same arrivals (`bench/traces.py`)
one by one, messages made before, and only the feeding is timed, in seconds of processor time: each
side is one thread that never waits. Theirs hold `queue` messages of each stream; ours waits as long
as `queue` frames take, which comes to the same.

Pairs are counted as "true / wrong", in two tables: at a tolerance of half a period, which is our
default and the best for ROS where nothing is offset, and (not --quick) at 50 ms, a common choice.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.ros.peers import Peer, installed, write
from bench.sides import Goal, Row, options, report, rounds
from bench.traces import (
    HEAVY_JITTER,
    MATCHED,
    PERIOD_NS,
    RATE_HZ,
    UNMATCHED,
    WORLDS,
    Verdict,
    World,
    judge,
    possible,
)
from rvsense.config import Pairing
from rvsense.daemon.decisions import Decision, Frame, Paired
from rvsense.daemon.pairing import Pairer

QUEUES = (10, 100, 1000)
FRAMES_PER_S = 200_000
LONGEST_S = 0.2
"""Our side is fed again and again for so long: one feed of a short trace would be noise."""
WIDE_NS = 50_000_000
EVERYTHING = next(world for world in WORLDS if world.name == "all of these")


def settings(queue: int) -> Pairing:
    """Ours, so that about `queue` frames of each stream wait."""
    lateness_s = queue / RATE_HZ
    return Pairing(
        lateness_s=lateness_s,
        idle_timeout_s=lateness_s + 2,
        max_pending_frames=4 * queue + 100,
        max_pending_bytes=1 << 40,
    )


def feed(pairing: Pairing, frames: Sequence[Frame]) -> tuple[float, list[tuple[int, int]]]:
    """(seconds it took to decide all frames, the (radar, camera) seqs of the pairs, to the end)."""
    pairer = Pairer(pairing)
    push = pairer.push
    decided: list[list[Decision]] = []
    keep = decided.append
    start_s = time.process_time()
    for frame in frames:
        keep(push(frame))
    keep(pairer.flush())  # what a long queue still holds is work as well
    taken_s = time.process_time() - start_s
    pairs = [one for some in decided for one in some if isinstance(one, Paired)]
    return taken_s, [(pair.radar.seq, pair.camera.seq) for pair in pairs]


def our_rate(pairing: Pairing, frames: Sequence[Frame]) -> float:
    """Frames per second."""
    taken_s, feeds = 0.0, 0
    while taken_s < LONGEST_S:
        taken_s += feed(pairing, frames)[0]
        feeds += 1
    return feeds * len(frames) / taken_s


def speed_rows(peers: Sequence[Peer], folder: Path, quick: bool) -> list[Row]:
    """Ours against each peer, matched and unmatched, at each queue."""
    count = 2 if quick else 5
    rows = []
    lengths = (3_000, 2_400) if quick else (10_000, 4_000)
    for world, instants in zip((MATCHED, UNMATCHED), lengths, strict=True):
        frames = world.frames(instants, seed=0)
        trace = write(folder / "speed", frames)
        for peer in peers:
            for queue in QUEUES:
                ours, theirs = rounds(
                    count,
                    partial(our_rate, settings(queue), frames),
                    partial(their_rate, peer, trace, queue, len(frames)),
                )
                what = f"{world.name}, queue {queue}"
                goal = _speed_goal(peer, world, queue)
                rows.append(Row(what, ours, theirs, "frames/s", peer.name, goal))
    return rows


def their_rate(peer: Peer, trace: Path, queue: int, frames: int) -> float:
    """Frames per second."""
    return frames / peer.run(trace, queue, PERIOD_NS // 2)[0]


def _speed_goal(peer: Peer, world: World, queue: int) -> Goal | None:
    if "Python" not in peer.name:
        return None
    if world is MATCHED:
        return Goal("at least", 2.5)
    return Goal("at least", 50) if queue == QUEUES[-1] else None


def own_rows(quick: bool) -> list[Row]:
    """Ours against the frames per second it should reach, and long queues against short ones."""
    instants, count = (5_000, 3) if quick else (30_000, 7)
    rows, traces = [], {}
    for queue in QUEUES:
        # A frame may be late by all that is waited for: the whole queue is out of order.
        world = replace(EVERYTHING, name=f"queue {queue}", delay_ms=1000 * queue / RATE_HZ)
        frames = traces[queue] = world.frames(instants, seed=0)
        for what, arrivals in (("in order", sorted_by_stamp(frames)), ("shuffled", frames)):
            rates = tuple(our_rate(settings(queue), arrivals) for _ in range(count))
            aim = (float(FRAMES_PER_S),) * count
            name = f"{EVERYTHING.name}, {what}, queue {queue}"
            rows.append(Row(name, rates, aim, "frames/s", "the aim", Goal("at least", 1)))
    orders: tuple[tuple[str, Callable[[Sequence[Frame]], list[Frame]], float], ...] = (
        # Each shuffled frame is searched its place: the logarithm of the queue is allowed for.
        ("in order", sorted_by_stamp, 0.8),
        ("shuffled", list, 0.7),
    )
    short, long = QUEUES[0], QUEUES[-1]
    for what, arrange, least in orders:
        ours, theirs = rounds(
            count,
            partial(our_rate, settings(long), arrange(traces[long])),
            partial(our_rate, settings(short), arrange(traces[short])),
        )
        name = f"flat: {what}, queue {long}"
        goal = Goal("at least", least)
        rows.append(Row(name, ours, theirs, "frames/s", f"queue {short}", goal))
    return rows


def sorted_by_stamp(frames: Sequence[Frame]) -> list[Frame]:
    """The frames as they were captured."""
    return sorted(frames, key=lambda frame: frame.stamp_ns)


Tables = dict[str, list[tuple[Verdict, ...]]]
"""World name → for each seed the verdicts on ours and on each peer."""


def verdicts(
    peers: Sequence[Peer], folder: Path, tolerance_ns: int | None, instants: int, seeds: int
) -> Tables:
    """Judge everyone on every trace at one tolerance; None is half a period, ours by default."""
    pairing = Pairing() if tolerance_ns is None else Pairing(tolerance_s=tolerance_ns / 1e9)
    slop_ns = PERIOD_NS // 2 if tolerance_ns is None else tolerance_ns
    found: Tables = {}
    for world in (*WORLDS, HEAVY_JITTER):
        for seed in range(seeds):
            frames = world.frames(instants, seed)
            trace = write(folder / "judged", frames)
            theirs = [judge(peer.run(trace, QUEUES[0], slop_ns)[1]) for peer in peers]
            ours = judge(feed(pairing, frames)[1])
            found.setdefault(world.name, []).append((ours, *theirs))
    return found


def print_table(found: Tables, title: str, peers: Sequence[Peer], instants: int) -> None:
    """Each trace a line, summed over the seeds."""
    heads = (title, "possible", "rvsense", *(peer.name for peer in peers))
    print(f"| {' | '.join(heads)} |\n| --- |{' ---: |' * (len(heads) - 1)}")
    for world in (*WORLDS, HEAVY_JITTER):
        seeds = found[world.name]
        most = sum(possible(world.frames(instants, seed)) for seed in range(len(seeds)))
        summed = [str(Verdict.sum(side)) for side in zip(*seeds, strict=True)]
        print(f"| {' | '.join((world.name, str(most), *summed))} |")
    print(flush=True)


def correctness_rows(found: Tables, tolerance: str) -> list[Row]:
    """On how many traces of the set ours is at least as good as the better of the peers."""
    judged = [seed for world in WORLDS for seed in found[world.name]]
    kept = sum(ours.true >= max(peer.true for peer in peers) for ours, *peers in judged)
    clean = sum(ours.wrong <= min(peer.wrong for peer in peers) for ours, *peers in judged)
    ordered = sum(ours.monotone and not ours.twice for ours, *_ in judged)
    goal, all_of = Goal("at least", 1), (float(len(judged)),)
    return [
        Row(f"{what}, {tolerance}", (float(count),), all_of, "traces", "all", goal)
        for what, count in (
            ("no fewer true pairs than either", kept),
            ("no more wrong partners than either", clean),
            ("monotone, no frame twice", ordered),
        )
    ]


def main() -> None:
    """Print the two tables of pairs and the rows."""
    chosen = options(__doc__, "bench.pairing").parse_args()
    peers, missing = installed()
    for remedy in missing:
        print(f"not measured: {remedy}", file=sys.stderr)
    instants, seeds = (1_800, 1) if chosen.quick else (9_000, 3)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if peers:
            tolerances = ((None, "half a period"), (WIDE_NS, "50 ms"))
            for tolerance_ns, title in tolerances[: 1 if chosen.quick else 2]:
                found = verdicts(peers, folder, tolerance_ns, instants, seeds)
                print_table(found, f"tolerance {title}", peers, instants)
                if tolerance_ns is None:
                    rows += correctness_rows(found, title)
            rows += speed_rows(peers, folder, chosen.quick)
        rows += own_rows(chosen.quick)
    report(rows, threads="1", path=chosen.json)


if __name__ == "__main__":
    main()
