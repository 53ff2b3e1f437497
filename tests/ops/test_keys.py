"""Keys as files: made, allowed, revoked, listed, and refused where others could read them."""

import json
import os
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvsense import curve, keyring
from rvsense.cli import main
from rvsense.errors import ConfigError, UsageError
from rvsense.gate import ENTRANCES


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """A server's folder that allows nobody."""
    folder = tmp_path / "keys"
    assert main(["keys", "init", str(folder)]) == 0
    return folder


def mode(path: Path) -> int:
    """Permission bits."""
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_secrets_are_the_owner_s_alone(tmp_path: Path, umask: int) -> None:
    """Whatever the umask: the server's, and a client's in its folder."""
    before = os.umask(umask)
    try:
        keyring.new_server(tmp_path / "keys")
        bundle = keyring.new_client(tmp_path / "keys", "device", "north")
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys" / "server.key") == 0o600
    assert mode(bundle / "client.key") == 0o600
    assert mode(bundle) & 0o077 == 0
    assert mode(tmp_path / "keys" / "devices" / "north.pub") == 0o644
    for name in ("", "devices", "operators"):  # the daemon has to list them, as another user
        assert mode(tmp_path / "keys" / name) == 0o755


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o644])
def test_a_secret_that_others_may_read_is_refused(ring: Path, bits: int) -> None:
    """Naming the file and the remedy."""
    (ring / "server.key").chmod(bits)
    with pytest.raises(ConfigError, match=r"server\.key: others may read.*chmod 600"):
        keyring.server_pair(ring, {})


def test_who_may_not_read_a_key_is_not_told_to_make_another(
    ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service without the drop-in: the keys are there, and are another's."""

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"server\.key: cannot be read .* curve\.conf$"):
        keyring.server_pair(ring)


def test_systemd_s_credentials_go_first(
    ring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's secret, whose group bits are only the mask of an access list there."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (ring / "server.key").rename(credentials / "server.key")
    (credentials / "server.key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert keyring.server_pair(ring).public == curve.read_public(ring / "server.pub")
    assert curve.client_keys(None) is None
    bundle = keyring.new_client(ring, "operator", "me")
    for name in ("client.key", "server.pub"):
        (bundle / name).rename(credentials / name)
    found = curve.client_keys(None)
    assert found is not None
    assert found.own.public == curve.read_public(ring / "operators" / "me.pub")


def test_the_folder_that_is_given_goes_before_the_environment(ring: Path) -> None:
    """`--keys`, then $RVSENSE_KEYS, then none."""
    one, two = (keyring.new_client(ring, "device", name) for name in ("one", "two"))
    environ = {"RVSENSE_KEYS": str(two)}
    for given_folder, wanted in ((one, "one"), (None, "two"), ("", "two")):
        found = curve.client_keys(given_folder, environ)
        assert found is not None
        assert found.own.public == curve.read_public(ring / "devices" / f"{wanted}.pub")
    assert curve.client_keys(None, {}) is None


def test_a_pair_does_not_show_its_secret() -> None:
    """In a log, a traceback, a debugger's list."""
    pair = curve.new_pair()
    keys = curve.ClientKeys(pair, pair.public)
    assert pair.secret.decode() not in f"{pair} {pair!r} {keys} {keys!r}"
    assert zmq.curve_public(pair.secret) == pair.public


def test_allow_list_revoke(ring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that was made elsewhere comes in by its file or its text, and leaves by its name."""
    north, south = curve.new_pair().public, b"a" * 40
    at = str(ring)
    public = ring / "north.client.pub"
    curve.write_public(public, north)
    assert main(["keys", "allow", at, "--role", "device", "north", str(public)]) == 0
    assert main(["keys", "allow", at, "--role", "operator", "south", south.decode()]) == 0
    capsys.readouterr()
    assert main(["keys", "list", at, "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["role"], row["name"]) for row in listed] == [
        ("server", ""), ("device", "north"), ("operator", "south"),
    ]  # fmt: skip
    assert listed[1]["public"] == north.decode()
    assert main(["keys", "revoke", at, "--role", "device", "north"]) == 0
    assert [one.name for one in keyring.allowed(ring)] == ["south"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "{ring}"], "is there already"),
        (["new", "{ring}", "--role", "device", "../x"], "name '../x'"),
        (["new", "{ring}", "--role", "device", ".x"], "no dot first"),
        (["new", "{ring}", "--role", "device", "known"], "allowed already"),
        (["allow", "{ring}", "--role", "device", "new", "{ring}/none"], "cannot be read"),
        (["allow", "{ring}", "--role", "device", "new", "{ring}/junk"], "holds no key"),
        (["allow", "{ring}", "--role", "operator", "new", "{known}"], "is device known already"),
        (["allow", "{ring}", "--role", "device", "new", "#" * 40], "KEY: holds no key"),
        (["new", "{ring}", "--role", "device", "new", "--out", "{ring}/junk"], "Not a directory"),
        (["revoke", "{ring}", "--role", "device", "nobody"], "no device nobody"),
        (["list", "{ring}/none"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_named(
    ring: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """One line, and an exit status of 2 or 78; nothing is changed."""
    known = curve.new_pair().public
    keyring.allow(ring, "device", "known", known)
    (ring / "junk").write_text("junk")
    filled = [text.format(ring=ring, known=known.decode()) for text in arguments]
    assert main(["keys", *filled]) in (2, 78)
    assert words in capsys.readouterr().err
    assert [one.name for one in keyring.allowed(ring)] == ["known"]
    assert not (ring / "bundles").exists()


def test_one_key_has_one_role(ring: Path) -> None:
    """A file that was copied by hand to another role is found when the keys are read."""
    public = curve.new_pair().public
    keyring.allow(ring, "device", "north", public)
    curve.write_public(ring / "operators" / "north.pub", public)
    with pytest.raises(ConfigError, match="operator north has the key of device north"):
        keyring.allowed(ring)


@pytest.mark.parametrize("name", ["n\udcf6rth", "north west", "", ".north"])
def test_a_file_whose_name_is_none_is_refused(ring: Path, name: str) -> None:
    """One in Latin-1 would fail at the handshake."""
    curve.write_public(ring / "devices" / "any", curve.new_pair().public)
    (ring / "devices" / "any").rename(ring / "devices" / f"{name}.pub")
    with pytest.raises(ConfigError, match=r"devices: .*is not NAME\.pub"):
        keyring.allowed(ring)


def test_what_cannot_be_read_is_not_nobody(ring: Path) -> None:
    """A folder of a role may lack; the whole may not, nor be something else."""
    keyring.new_client(ring, "device", "north")
    (ring / "operators").rmdir()
    assert [one.name for one in keyring.allowed(ring)] == ["north"]
    (ring / "operators").write_text("")
    for folder, named in ((ring, "operators"), (ring / "none", "none")):
        with pytest.raises(ConfigError, match=f"{named}: cannot be read"):
            keyring.allowed(folder)


def test_nobody_is_allowed_whose_keys_could_not_be_written(ring: Path) -> None:
    """It can be tried again."""
    with pytest.raises(ConfigError, match=r"server\.pub/x: cannot be written"):
        keyring.new_client(ring, "device", "north", ring / "server.pub" / "x")
    assert not keyring.allowed(ring)
    keyring.new_client(ring, "device", "north")


def test_every_role_has_a_folder_and_an_entrance() -> None:
    """No role that could be given and would open nothing."""
    roles = {role for taken in ENTRANCES.values() for role in taken}
    assert set(keyring.ROLES) == roles
    with pytest.raises(UsageError, match="role 'king'"):
        keyring.allow(Path("nowhere"), "king", "arthur", b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("aZ9.-[}$ ~\n", min_size=38, max_size=42))
def test_a_key_is_forty_characters_of_z85(tmp_path: Path, text: str) -> None:
    """White space around it is none of it; anything else is refused, naming the file.

    Of these characters `$` alone, as the first of five, makes more than 32 bits.
    """
    path = tmp_path / "some.pub"
    path.write_text(text)
    key = text.strip()
    if len(key) == 40 and not set(key) & {" ", "~", "\n"} and "$" not in key[::5]:
        assert curve.read_public(path) == key.encode()
        return
    with pytest.raises(ConfigError, match=r"some\.pub"):
        curve.read_public(path)
