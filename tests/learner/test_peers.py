"""Several daemons at one learner: who is known, who is refused, who hears what."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense import link, parcel, published
from rvsense.errors import FrameError
from rvsense.learner.peers import MOST_SITES, Peers, RefusedError
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]


def hello(name: str, *, lockstep: bool = False, **more: Any) -> dict[str, Any]:
    """What a daemon of that name says first; its life is its name unless said otherwise."""
    return {"daemon": name, "life": name, "lockstep": lockstep} | more


class Wire:
    """Peers, and what each has been sent; `dead` are the connections that have ended."""

    def __init__(self) -> None:
        self.dead: set[bytes] = set()
        self.sent: list[tuple[bytes, list[Any]]] = []
        self.peers = Peers(self.send)

    def send(self, identity: bytes, message: list[Any]) -> bool:
        """Deliver, unless that one is gone."""
        if identity in self.dead:
            return False
        self.sent.append((identity, message))
        return True


def test_each_daemon_has_a_count_of_its_own() -> None:
    """What one has had taken says nothing of another, and a new hello starts at 0."""
    wire = Wire()
    for name in (b"a", b"b"):
        wire.peers.greet(name, hello(name.decode()))
    assert [wire.peers.take(who) for who in (b"a", b"a", b"b", b"a")] == [1, 2, 1, 3]
    wire.peers.greet(b"a", hello("a"))
    assert wire.peers.take(b"a") == 1
    assert len(wire.peers) == 2


def test_a_daemon_that_comes_back_takes_its_own_place() -> None:
    """After a cut it has another connection, and the learner has not noticed: one daemon still."""
    wire = Wire()
    wire.peers.greet(b"old", hello("a", lockstep=True))
    wire.peers.greet(b"new", hello("a", lockstep=True))
    assert (b"old" in wire.peers, b"new" in wire.peers) == (False, True)


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_lockstep_is_with_one_daemon_alone(first: bool, second: bool) -> None:
    """Whoever comes second is refused, and told who is there; gone, it makes room."""
    wire = Wire()
    wire.peers.greet(b"a", hello("a", lockstep=first))
    with pytest.raises(RefusedError, match="a learner of its own"):
        wire.peers.greet(b"b", hello("b", lockstep=second))
    assert b"b" not in wire.peers
    wire.dead.add(b"a")
    wire.peers.tell_all([b"figures"])
    wire.peers.greet(b"b", hello("b", lockstep=second))
    assert wire.peers.gone == 1


def test_a_site_sent_by_two_is_said_once() -> None:
    """The second daemon to send a site is told of the first; one that took over is no clash."""
    wire = Wire()
    for name in (b"a", b"b"):
        wire.peers.greet(name, hello(name.decode()))
    assert wire.peers.sends(b"a", "east") == []
    assert wire.peers.sends(b"b", "west") == []
    assert [wire.peers.sends(b"b", "east") for _ in range(2)] == [["a"], []]
    wire.dead.add(b"a")
    wire.peers.tell_all([b"figures"])
    wire.peers.greet(b"c", hello("c"))
    assert wire.peers.sends(b"c", "north") == []
    assert wire.peers.clashes == 1


def test_the_sites_of_a_daemon_are_bounded() -> None:
    """One that makes up names for ever fills nothing; others, and its known ones, go on."""
    wire = Wire()
    for name in (b"a", b"b"):
        wire.peers.greet(name, hello(name.decode()))
    for n in range(MOST_SITES):
        wire.peers.sends(b"a", f"s{n}")
    for n in range(3):
        with pytest.raises(FrameError, match="too_many_sites"):
            wire.peers.sends(b"a", f"another {n}")
    assert wire.peers.sends(b"a", "s0") == []
    assert wire.peers.sends(b"b", "another 0") == []
    assert len(wire.peers._senders) == MOST_SITES + 1


@given(st.lists(st.tuples(st.sampled_from("ghtd"), st.integers(0, 4)), max_size=60))
def test_nobody_is_told_after_being_found_gone(steps: list[tuple[str, int]]) -> None:
    """Whatever comes and goes: who is known is who greeted and was not found gone since."""
    wire = Wire()
    known: set[bytes] = set()
    for step, number in steps:
        who = bytes([number])
        if step == "g":
            wire.dead.discard(who)
            wire.peers.greet(who, hello(str(number)))
            known.add(who)
        elif step == "d":
            wire.dead.add(who)
        elif step == "h" and who in known:
            wire.peers.sends(who, "east")
        elif step == "t":
            wire.peers.tell_all([b"x"])
            known -= wire.dead
        assert {one for one in map(bytes, ([n] for n in range(5))) if one in wire.peers} == known
    assert wire.peers.gone <= len(steps)


class Learner:
    """A service and what each daemon has heard of it."""

    def __init__(self, trainer: Trainer, state_dir: Path, owned: bool = False) -> None:
        self.heard: dict[bytes, list[tuple[str, dict[str, Any], list[Any]]]] = {}
        self.now = 0.0
        self.service = Service(trainer, state_dir, self._send, lambda: self.now, owned=owned)

    def _send(self, identity: bytes, message: list[Any]) -> bool:
        self.heard.setdefault(identity, []).append(link.unpack(message))
        return True

    def greet(self, who: bytes, **more: Any) -> None:
        """A hello of that daemon."""
        self.service.hear(who, link.pack("hello", **hello(who.decode(), **more)))

    def of(self, who: bytes, op: str) -> list[dict[str, Any]]:
        """Values of all such messages to a daemon."""
        return [values for heard, values, _ in self.heard.get(who, []) if heard == op]


def test_pairs_of_all_daemons_are_learned_from_and_models_go_to_all(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Two daemons feed one pool; both are offered what is published, each has its own acks."""
    learner = Learner(make_trainer(max_reuse=2.0), tmp_path)
    learner.greet(b"a")
    learner.greet(b"b")
    for i in range(12):
        pair = replace(make_pair(i), site=("east", "west")[i % 2])
        learner.service.hear((b"a", b"b")[i % 2], link.pack_pair(pair))
    while learner.service.wants_step:
        learner.service.work()
    assert learner.service.trainer.counters.pairs == 12
    assert [learner.of(who, "taken")[-1]["count"] for who in (b"a", b"b")] == [6, 6]
    learner.service.hear(b"a", link.pack("drain"))
    assert learner.of(b"a", "model") == learner.of(b"b", "model") != []
    assert (len(learner.of(b"a", "drained")), len(learner.of(b"b", "drained"))) == (1, 0)
    learner.greet(b"late", fetch=True)
    learner.greet(b"near", fetch=False)
    assert learner.of(b"late", "model") == learner.of(b"a", "model")[-1:]
    assert learner.of(b"near", "model") == []


def test_a_model_comes_over_in_chunks_and_is_gone_when_pruned(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched by its offer, chunk by chunk, it is the same model; no other file can be had."""
    monkeypatch.setattr(parcel, "CHUNK_BYTES", 5000)
    learner = Learner(make_trainer(max_reuse=2.0), tmp_path / "learner")
    learner.greet(b"a", fetch=True)
    for i in range(12):
        learner.service.hear(b"a", link.pack_pair(make_pair(i)))
    while learner.service.wants_step:
        learner.service.work()
    learner.service.hear(b"a", link.pack("drain"))
    offer = parcel.read_offer(learner.of(b"a", "model")[-1], 10**9)

    def read_file(name: str, size: int) -> list[bytes]:
        for offset in range(0, size, parcel.CHUNK_BYTES):
            ask = link.pack("fetch", id=offer.id, name=name, offset=offset)
            learner.service.hear(b"a", ask)
        chunks = [(v, p) for op, v, p in learner.heard[b"a"] if op == "chunk" and v["name"] == name]
        return [payload[0] for _, payload in chunks]

    landed = parcel.land(tmp_path / "daemon", offer, read_file)
    assert published.open_model(landed).sha256 == offer.sha256
    before = len(learner.of(b"a", "chunk"))
    for id, name in (
        (offer.id, "../learner.lock"),
        ("..", "weights.safetensors"),
        ("step-00000001-00000000", "weights.safetensors"),
    ):
        learner.service.hear(b"a", link.pack("fetch", id=id, name=name, offset=0))
    assert len(learner.of(b"a", "gone")) == 3
    assert len(learner.of(b"a", "chunk")) == before


def test_what_is_out_of_form_hurts_nobody_else(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Nonsense, another version, torn pairs: counted; the others' pairs are taken as ever."""
    learner = Learner(make_trainer(), tmp_path)
    learner.greet(b"a")
    good = link.pack_pair(make_pair(0))
    values = msgpack.unpackb(good[0])
    learner.service.hear(b"mad", [b"\xc1"])
    learner.service.hear(b"old", [msgpack.packb({"v": 1, "op": "hello", "lockstep": False})])
    learner.service.hear(b"mad", link.pack("hello", lockstep=False))
    learner.service.hear(b"mad", link.pack("bogus"))
    for torn in (
        [good[0]],
        [msgpack.packb(values | {"shape": [4, 64, 64, 2]}), *good[1:]],
        [msgpack.packb(values | {"site": 7}), *good[1:]],
        [msgpack.packb(values | {"more": 7}), *good[1:]],
    ):
        learner.service.hear(b"a", torn)
    learner.service.hear(b"a", good)
    assert learner.service.trainer.counters.pairs == 1
    assert learner.of(b"a", "taken")[-1]["count"] == 5
    assert [v["event"] for v in learner.of(b"a", "notice")] == ["message_out_of_form"] * 4
    learner.greet(b"b")
    assert learner.of(b"b", "figures")[-1]["out_of_form"] == 8
    assert "upgrade" in learner.of(b"old", "refused")[0]["reason"]
    learner.service.hear(b"unknown", good)
    assert len(learner.of(b"unknown", "stranger")) == 1
    assert learner.service.trainer.counters.pairs == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"codec": "rgb8", "image_shape": [2]},
        {"codec": "rgb8", "image_shape": [-1, -1, 3]},
        {"codec": "rgb8", "image_shape": [0, 0, 3]},
        {"codec": "rgb8", "image_shape": None},
        {"shape": [0, 128, 128, 2]},
        {"stamp_ns": 2**63},
        {"dtype": "S4"},
    ],
)
def test_no_pair_ends_the_learner(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, changes: dict[str, Any]
) -> None:
    """It is acknowledged and counted, nothing of it is kept, and the next one is learned from."""
    learner = Learner(make_trainer(), tmp_path)
    learner.greet(b"a")
    header, *payloads = link.pack_pair(make_pair(0))
    bad = msgpack.packb(msgpack.unpackb(header) | changes)
    empty = b"" if 0 in (changes.get("shape") or changes.get("image_shape") or ()) else None
    sent = payloads if empty is None else [empty if "shape" in changes else payloads[0], empty]
    learner.service.hear(b"a", [bad, *sent])
    trainer = learner.service.trainer
    assert (trainer.counters.pairs, trainer.pool.fill) == (0, 0)
    learner.greet(b"b")
    figures = learner.of(b"b", "figures")[-1]
    assert figures["out_of_form"] + figures["bad_images"] == 1
    learner.service.hear(b"a", link.pack_pair(make_pair(1)))
    assert learner.of(b"a", "taken")[-1]["count"] == 2
    assert trainer.counters.pairs == 1


@pytest.mark.parametrize("offset", [float("inf"), float("nan"), 2**64 - 1, -1, None, []])
def test_no_fetch_ends_the_learner(tmp_path: Path, make_trainer: MakeTrainer, offset: Any) -> None:
    """An offset that is none is out of form, or of no file; nobody else hears of it."""
    learner = Learner(make_trainer(), tmp_path)
    learner.greet(b"a")
    ask = link.pack("fetch", id="step-00000001-00000000", name="manifest.json", offset=offset)
    learner.service.hear(b"a", ask)
    assert len(learner.of(b"a", "gone")) + len(learner.of(b"a", "notice")) == 1


@pytest.mark.parametrize("owned", [True, False])
def test_only_its_owner_stops_a_learner(
    tmp_path: Path, make_trainer: MakeTrainer, owned: bool
) -> None:
    """Not who has not greeted, and nobody where it serves many."""
    learner = Learner(make_trainer(), tmp_path, owned)
    learner.service.hear(b"a", link.pack("stop"))
    assert not learner.service.stopped
    assert len(learner.of(b"a", "stranger")) == 1
    learner.greet(b"a")
    learner.service.hear(b"a", link.pack("stop"))
    assert learner.service.stopped is owned
    assert len(learner.of(b"a", "notice")) == (not owned)


def test_nonsense_is_told_to_its_sender_briefly_and_not_for_ever(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """The others hear nothing of it; how much was left out is said later."""
    learner = Learner(make_trainer(), tmp_path)
    learner.greet(b"a")
    learner.greet(b"b")
    header, *payloads = link.pack_pair(make_pair(0))
    bad = msgpack.packb(msgpack.unpackb(header) | {"site": "x" * 10_000, "epoch": ["y"] * 10_000})
    for _ in range(20):
        learner.service.hear(b"a", [bad, *payloads])
        learner.service.hear(b"stranger", link.pack("z" * 10_000))
    learner.now = 61.0
    learner.service.hear(b"a", [bad, *payloads])
    notices = learner.of(b"a", "notice")
    assert [v["left_out"] for v in notices] == [0] * 8 + [12]
    assert max(len(msgpack.packb(v)) for v in notices) < 1000
    refused = learner.of(b"stranger", "refused")
    assert len(refused) == 8
    assert len(refused[0]["reason"]) < 400
    assert learner.of(b"b", "notice") == []


def test_a_hello_leaves_the_rate_of_the_others_alone(
    tmp_path: Path, make_trainer: MakeTrainer
) -> None:
    """Steps a second are counted between two ticks, whoever comes or goes meanwhile."""
    learner = Learner(make_trainer(), tmp_path)
    learner.greet(b"a")
    learner.service.trainer.counters.step += 10
    learner.now = 2.0
    learner.service.tick()
    learner.now = 2.5
    for _ in range(2):
        learner.greet(b"b")
    rates = [v["steps_per_s"] for v in learner.of(b"a", "figures")]
    assert rates[-3:] == [5.0, 5.0, 5.0]
    learner.service.trainer.counters.step += 10
    learner.now = 4.0
    learner.service.tick()
    assert learner.of(b"a", "figures")[-1]["steps_per_s"] == 5.0


def test_a_model_that_is_being_fetched_stays(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """However many are published meanwhile, until nobody has asked for it for a while."""
    learner = Learner(make_trainer(models_kept=2, max_reuse=1000.0), tmp_path)
    learner.greet(b"slow", fetch=True)
    service = learner.service
    for i in range(12):
        service.hear(b"slow", link.pack_pair(make_pair(i)))

    def publish() -> str:
        count = len(learner.of(b"slow", "model"))
        while len(learner.of(b"slow", "model")) == count:
            service.work()
        return str(learner.of(b"slow", "model")[-1]["id"])

    first = publish()
    ask = link.pack("fetch", id=first, name="manifest.json", offset=0)
    service.hear(b"slow", ask)
    for _ in range(4):
        publish()
        learner.now += 200.0
        service.hear(b"slow", ask)
    assert len(learner.of(b"slow", "chunk")) == 5
    assert learner.of(b"slow", "gone") == []
    learner.now += 601.0
    publish()
    service.hear(b"slow", ask)
    assert len(learner.of(b"slow", "gone")) == 1
    assert len(published.list_models(tmp_path / "models")) == 2
