"""Traces know their truth, everyone is fed the same, and verdicts count what they say."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import pairing
from bench.pairing import Tables, correctness_rows, feed, own_rows, settings
from bench.ros import peers
from bench.ros.peers import MissingError, Peer, cpp_peer, python_peer, write
from bench.traces import MATCHED, PERIOD_NS, UNMATCHED, WORLDS, Verdict, World, judge, possible
from rvsense.config import Pairing
from rvsense.daemon.decisions import Frame

INSTANTS = 300


@pytest.fixture(params=[python_peer, cpp_peer], ids=["python", "cpp"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of ROS's synchronisers that is installed."""
    try:
        found: Peer = request.param()
    except MissingError as error:
        pytest.skip(str(error))
    return found


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_trace_is_the_same_each_time_and_another_with_another_seed(world: World) -> None:
    """Both sides of a comparison, and two runs of it, see one trace."""
    frames = world.frames(INSTANTS, seed=1)
    assert frames == world.frames(INSTANTS, seed=1)
    assert len(frames) >= INSTANTS
    if world not in (MATCHED, UNMATCHED):
        assert frames != world.frames(INSTANTS, seed=2)


def test_the_truth_is_the_instants_that_both_streams_saw() -> None:
    """All of them where nothing is lost, each third at a third of the rate, none in turns."""
    by_name = {world.name: possible(world.frames(INSTANTS, 0)) for world in WORLDS}
    assert by_name["matched"] == by_name["5 % duplicates"] == INSTANTS
    assert by_name["rates of 30 and 10 Hz"] == INSTANTS // 3
    assert by_name["unmatched"] == 0
    assert 0.8 * INSTANTS < by_name["5 % loss"] < 0.97 * INSTANTS


def test_a_verdict_counts_each_true_pair_once() -> None:
    """(1, 1) is true; the second (1, 1) is a repeat; (2, 3) is wrong; (0, 0) comes too late."""
    verdict = judge([(1, 1), (1, 1), (2, 3), (0, 0)])
    assert verdict == Verdict(true=2, wrong=1, twice=1, monotone=False)
    assert str(verdict) == "2 / 1 1 twice disordered"
    assert judge([(0, 0), (1, 1)]) == Verdict(2, 0, 0, monotone=True)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_ours_keeps_every_true_pair_of_the_set(world: World) -> None:
    """At the default settings: none missed, none wrong, none twice, in order."""
    frames = world.frames(INSTANTS, seed=0)
    verdict = judge(feed(Pairing(), frames)[1])
    assert verdict == Verdict(possible(frames), 0, 0, monotone=True)


@pytest.mark.parametrize("queue", [10, 100])
def test_a_longer_queue_keeps_the_same_pairs(queue: int) -> None:
    """What is timed at each queue is the same work."""
    frames = WORLDS[-2].frames(INSTANTS, seed=0)
    assert feed(settings(queue), frames)[1] == feed(settings(1000), frames)[1]


def test_a_peer_finds_the_pairs_of_a_matched_trace(peer: Peer, tmp_path: Path) -> None:
    """Same pairs as ours; the C++ one keeps the last to itself."""
    frames = replace(MATCHED, jitter_ms=1.0).frames(INSTANTS, seed=0)
    trace = write(tmp_path / "trace", frames)
    taken_s, pairs = peer.run(trace, queue=10, slop_ns=PERIOD_NS // 2)
    assert taken_s > 0
    ours = feed(Pairing(), frames)[1]
    assert pairs[: INSTANTS - 2] == ours[: INSTANTS - 2]


def test_a_peer_is_given_the_tolerance(peer: Peer, tmp_path: Path) -> None:
    """15 ms apart is a pair at 16 ms and none at 14 ms."""
    frames = World("apart", offset_ms=15).frames(INSTANTS, seed=0)
    trace = write(tmp_path / "trace", frames)
    counts = [len(peer.run(trace, 10, slop_ms * 1_000_000)[1]) for slop_ms in (14, 16)]
    assert counts[0] == 0
    assert counts[1] >= INSTANTS - 2


def test_a_peer_is_given_the_queue(peer: Peer, tmp_path: Path) -> None:
    """A stream that is 20 frames behind pairs with a queue of 100, and not with one of 10."""
    frames = MATCHED.frames(INSTANTS, seed=0)
    behind = [f for f in frames if f.stream == "radar"]
    ahead = [f for f in frames if f.stream == "camera"]
    arrivals: list[Frame] = [*ahead[:20]]
    for early, late in zip(ahead[20:], behind, strict=False):
        arrivals += [early, late]
    trace = write(tmp_path / "trace", arrivals)
    counts = [len(peer.run(trace, queue, PERIOD_NS // 2)[1]) for queue in (10, 100)]
    assert counts[0] < INSTANTS // 10
    assert counts[1] >= INSTANTS - 22


def test_a_peer_that_fails_is_an_error(peer: Peer, tmp_path: Path) -> None:
    """No rate of nothing."""
    with pytest.raises(RuntimeError, match="failed"):
        peer.run(tmp_path / "missing", queue=10, slop_ns=PERIOD_NS)


def test_what_is_not_installed_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each peer names its Debian packages."""
    monkeypatch.setattr(peers, "SYSTEM_PYTHON", "/nowhere/python3")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found, missing = peers.installed()
    assert found == []
    assert "python3-message-filters" in missing[0]
    assert "libmessage-filters-dev" in missing[1]


def test_one_trace_on_which_ours_is_worse_misses_the_goal() -> None:
    """A pair fewer than either peer, on one trace, is enough; so is a wrong partner more."""
    equal = (Verdict(10, 1, 0, True), Verdict(10, 2, 0, True), Verdict(9, 1, 0, True))
    fewer = (Verdict(9, 0, 0, True), Verdict(8, 0, 0, True), Verdict(10, 0, 0, True))
    wrong = (Verdict(10, 1, 0, True), Verdict(0, 0, 0, True), Verdict(10, 3, 0, True))
    found: Tables = {world.name: [equal] for world in WORLDS}
    assert [row.met for row in correctness_rows(found, "x")] == [True, True, True]
    found[WORLDS[3].name] = [fewer]
    assert [row.met for row in correctness_rows(found, "x")] == [False, True, True]
    found[WORLDS[3].name] = [wrong]
    assert [row.met for row in correctness_rows(found, "x")] == [True, False, True]


def test_shuffled_arrivals_are_as_late_as_the_queue_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No frame that the rows on queues feed is dropped as late."""
    fed: list[tuple[Pairing, list[Frame]]] = []

    def record(pairing: Pairing, frames: list[Frame]) -> float:
        fed.append((pairing, frames))
        return 1.0

    monkeypatch.setattr(pairing, "our_rate", record)
    rows = own_rows(quick=True)
    assert len(rows) == 8
    for chosen, frames in random.Random(0).sample(fed, 6):
        first = frames[:2000]
        assert judge(feed(chosen, first)[1]).true >= 0.99 * possible(first)
