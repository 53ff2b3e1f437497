"""Who gets in where, over real sockets: keys, roles, revocation, and what is said of the others."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import zmq

from rvsense import curve, keyring
from rvsense.config import Access, Config, Endpoints, Replay
from rvsense.daemon import auth
from rvsense.daemon.auth import Doors
from rvsense.denials import Denials
from rvsense.errors import ConfigError
from rvsense.gate import ENTRANCES
from rvsense.handshake import DeniedError
from rvsense.lobby import MOST_TOPICS
from tests.daemon.house import KINDS, Client, House, wait_until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A daemon's door."""
    it = House(tmp_path / "keys")
    yield it
    it.close()


@pytest.fixture
def connect(house: House) -> Iterator[Callable[..., Client]]:
    """`connect(entrance, keys)`: a client, closed at the end."""
    made: list[Client] = []

    def make(entrance: str, keys: curve.ClientKeys | None) -> Client:
        made.append(Client(house, entrance, keys))
        return made[-1]

    yield make
    for client in made:
        client.close()


Connect = Callable[[str, curve.ClientKeys | None], Client]


@pytest.mark.parametrize("entrance", KINDS)
@pytest.mark.parametrize("role", ["device", "subscriber", "operator", "daemon"])
def test_each_role_gets_in_where_it_should_and_nowhere_else(
    house: House, connect: Connect, role: str, entrance: str
) -> None:
    """The whole table of roles and entrances."""
    keys = house.key(role, "north")
    house.reload()
    verdict = connect(entrance, keys).verdict()
    if role in ENTRANCES[entrance]:
        assert verdict == "in"
        assert not house.doors.denials.counts
    else:
        assert "does not let this key in" in verdict
        house.denied(entrance, "wrong_role")


@pytest.mark.parametrize("entrance", KINDS)
def test_strangers_stay_outside(house: House, connect: Connect, entrance: str) -> None:
    """A key that nobody allowed, no key at all, and the key of another server: each is counted,
    and each client is told what is wrong."""
    server = curve.read_public(house.folder / curve.SERVER_PUBLIC)
    stranger = curve.ClientKeys(curve.new_pair(), server)
    assert "does not let this key in" in connect(entrance, stranger).verdict()
    house.denied(entrance, "unknown_key")
    assert "asks for keys" in connect(entrance, None).verdict()
    house.denied(entrance, "handshake")
    counted = house.doors.denials.counts[entrance, "handshake"]
    elsewhere = curve.ClientKeys(curve.new_pair(), curve.new_pair().public)
    assert "not the daemon that these keys trust" in connect(entrance, elsewhere).verdict()
    house.denied(entrance, "handshake", counted + 1)
    assert not house.heard


def test_a_key_is_allowed_from_the_reload_on(house: House, connect: Connect) -> None:
    """Not before."""
    keys = house.key("device", "north")
    assert "does not let" in connect("intake", keys).verdict()
    house.reload()
    assert connect("intake", keys).verdict() == "in"


@pytest.mark.parametrize("how", ["first", "reconnected", "rotated"])
@pytest.mark.parametrize("entrance", KINDS)
def test_revoking_cuts_one_off_and_nobody_else(
    house: House, connect: Connect, entrance: str, how: str
) -> None:
    """Who was heard of before leaves at the reload, also one who had come again (through the same
    descriptor), and one whose lost key was replaced; the other's connection is not touched."""
    role = ENTRANCES[entrance][0]
    bad, good = house.key(role, "bad"), house.key(role, "good")
    house.reload()

    def enter(client: Client) -> Client:
        before = heard()
        assert client.verdict() == "in"
        if entrance != "results":
            client.socket.send(b"hello")
        wait_until(lambda: heard() > before)
        return client

    def heard() -> int:
        return sum(said[:1] != b"\x00" for _, said in house.heard)  # but for goodbyes

    staying = enter(connect(entrance, good))
    if how == "reconnected":
        enter(Client(house, entrance, bad)).close()
        wait_until(lambda: house.doors.as_map()["connections"][entrance] == 1)
    leaving = enter(connect(entrance, bad))
    keyring.revoke(house.folder, role, "bad")
    if how == "rotated":
        shutil.rmtree(house.folder / "bundles" / f"{role}-bad")
        house.key(role, "bad")
    house.reload()
    assert house.doors.denials.counts[entrance, "revoked"] == 1

    def connects_again() -> bool:
        leaving.shakes.check()
        return False

    with pytest.raises(DeniedError, match="does not let this key in"):
        wait_until(connects_again)
    staying.shakes.check()
    assert staying.shakes.connections == 1
    if entrance != "results":
        staying.socket.send(b"still here")
        wait_until(lambda: (entrance, b"still here") in house.heard)


def test_one_who_was_silent_until_revoked_is_cut_off_at_its_first_word(
    house: House, connect: Connect
) -> None:
    """Its message is not heard."""
    keys = house.key("device", "north")
    house.reload()
    device = connect("intake", keys)
    assert device.verdict() == "in"
    keyring.revoke(house.folder, "device", "north")
    house.reload()
    device.socket.send(b"too late")
    house.denied("intake", "revoked")
    assert not house.heard


@pytest.mark.parametrize("words", ["nonsense\n", "#" * 40])
def test_a_bad_file_keeps_the_list(house: House, connect: Connect, words: str) -> None:
    """What is no key is named; those who were allowed still are."""
    keys = house.key("device", "north")
    house.reload()
    (house.folder / "devices" / "broken.pub").write_text(words)
    with pytest.raises(ConfigError, match=r"broken\.pub.*holds no key"):
        house.doors.reload(0.0)
    assert connect("intake", keys).verdict() == "in"


def test_a_folder_that_is_not_there_keeps_the_list(house: House, connect: Connect) -> None:
    """A disk that was not mounted is not the same as nobody."""
    keys = house.key("device", "north")
    house.reload()
    house.folder.rename(house.folder.with_name("away"))
    with pytest.raises(ConfigError, match=r"keys: cannot be read"):
        house.doors.reload(0.0)
    assert connect("intake", keys).verdict() == "in"


def test_nobody_comes_in_while_nobody_judges(house: House, connect: Connect) -> None:
    """A doorman who has left is no open door: a key that is allowed waits outside."""
    keys = house.key("device", "north")
    house.reload()
    house.stop()
    house.doors.close()
    device = connect("intake", keys)
    assert not device.shakes.watched.poll(500) or device.verdict() != "in"


def test_the_log_is_bounded() -> None:
    """A thousand denials are a handful of lines, and every one is counted."""
    with structlog.testing.capture_logs() as lines:
        denials = Denials()
        for _ in range(1000):
            denials.note("intake", "unknown_key", 1.0)
        denials.summarise(62.0)
    assert denials.as_map() == {"intake: unknown_key": 1000}
    assert len(lines) == 6
    assert lines[-1]["not_logged"] == 995


@pytest.mark.parametrize("keys", ["", None])
def test_one_connection_too_many_is_ended(tmp_path: Path, keys: str | None) -> None:
    """With keys and without: those inside are not touched, and one that leaves makes room."""
    house = House(tmp_path / "keys", max_connections=2, **({} if keys is None else {"keys": keys}))
    inside = house.key("device", "north") if keys is None else None
    house.reload()
    first, second = Client(house, "intake", inside), Client(house, "intake", inside)
    assert (first.verdict(), second.verdict()) == ("in", "in")
    third = Client(house, "intake", inside)
    house.denied("intake", "full", 3)
    two = {"intake": 2, "results": 0, "requests": 0}
    wait_until(lambda: house.doors.as_map()["connections"] == two)  # the third is on its way out
    first.socket.send(b"one")
    second.socket.send(b"two")
    wait_until(lambda: len(house.heard) == 2)
    second.close()
    third.socket.send(b"three")
    wait_until(lambda: ("intake", b"three") in house.heard)
    first.shakes.check()
    assert first.shakes.connections == 1
    first.close()
    third.close()
    wait_until(lambda: house.doors.as_map()["connections"]["intake"] == 0)
    assert set(house.doors.as_map()["denied"]) == {"intake: full"}
    house.close()


def test_the_player_gets_in_by_a_key_of_its_own(tmp_path: Path) -> None:
    """Made at the start, in the private folder; readable by its owner alone; a device's."""
    keys = tmp_path / "keys"
    keyring.new_server(keys)
    config = Config(access=Access(keys=str(keys)), replay=Replay(path="somewhere"))
    with zmq.Context() as context:
        doors = Doors(context, zmq.Poller(), config, tmp_path)
        folder = auth.player_keys(config, tmp_path)
        assert folder is not None
        assert (folder / curve.CLIENT_SECRET).stat().st_mode & 0o777 == 0o600
        assert doors.as_map()["allowed"]["device"] == 1
        assert not doors.reload(0.0)
        assert doors.as_map()["allowed"]["device"] == 1
        doors.close()


def test_without_keys_everybody_may_come_in(tmp_path: Path) -> None:
    """And what other machines reach is named."""
    ends = Endpoints(results="tcp://*:5561", http="0.0.0.0:9464")
    config = Config(endpoints=ends, learner="tcp://10.0.0.1:5570")
    with zmq.Context() as context:
        doors = Doors(context, zmq.Poller(), config, tmp_path)
        assert auth.player_keys(config, tmp_path) is None
        assert doors.as_map()["exposed"] == ["results", "http", "learner"]
        doors.close()


def test_images_do_not_leave_in_the_clear() -> None:
    """A learner on another machine needs keys, or the word that the risk is taken."""
    config = Config(learner="tcp://10.0.0.1:5570")
    with pytest.raises(ConfigError, match=r"in the clear.*--learner-keys.*--insecure"):
        auth.check_learner(config)
    for access in (Access(learner_keys="k"), Access(insecure=True)):
        auth.check_learner(replace(config, access=access))
    auth.check_learner(Config(learner="tcp://127.0.0.1:5570"))


def test_one_that_subscribes_for_ever_is_cut_off(house: House, connect: Connect) -> None:
    """ZeroMQ would remember every topic; another subscriber does not notice."""
    greedy, modest = house.key("subscriber", "greedy"), house.key("subscriber", "modest")
    house.reload()
    other = connect("results", modest)
    assert other.verdict() == "in"
    flood = connect("results", greedy)
    for n in range(MOST_TOPICS + 1):
        flood.socket.subscribe(f"classification/{n}")
    house.denied("results", "topics")
    other.shakes.check()
    assert other.shakes.connections == 1
