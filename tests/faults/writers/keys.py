"""The folder of keys: made, a client added, another allowed and revoked."""

import shutil
from contextlib import suppress
from pathlib import Path

from rvsense import curve, keyring
from rvsense.errors import RvsenseError, UsageError
from tests.faults.disk import Killed
from tests.faults.every import Said, Writer

STRANGER = curve.new_pair().public


def _made(folder: Path, said: Said, done: bool) -> None:
    secret = folder / "keys" / curve.SERVER_SECRET
    if secret.exists() or "server" in said:
        pair = curve.read_pair(secret)
        assert pair.public == curve.read_public(folder / "keys" / curve.SERVER_PUBLIC)
        assert keyring.allowed(folder / "keys") == []
    assert not done or "server" in said


def _init_again(folder: Path, said: Said) -> None:
    """As whoever was told that it did not work; what is there already is left alone."""
    with suppress(UsageError):
        keyring.new_server(folder / "keys")
    said.append("server")


def _a_server(folder: Path) -> None:
    keyring.new_server(folder / "keys")
    keyring.allow(folder / "keys", "operator", "old", STRANGER)


def _clients(folder: Path, said: Said) -> None:
    keys = folder / "keys"
    names = {(one.role, one.name) for one in keyring.allowed(keys)}
    if ("device", "radar") not in names:
        if Killed in said:  # so the error would tell one to
            shutil.rmtree(keys / keyring.BUNDLES / "device-radar", ignore_errors=True)
        keyring.new_client(keys, "device", "radar")
    said.append("radar")
    if ("operator", "old") in names:
        keyring.revoke(keys, "operator", "old")
    said.append("revoked")


def _allowed(folder: Path, said: Said, done: bool) -> None:
    keys = folder / "keys"
    found = {(one.role, one.name): one.public for one in keyring.allowed(keys)}
    bundle = keys / keyring.BUNDLES / "device-radar"
    if ("device", "radar") in found:  # whoever is allowed has been given all that it needs
        client = curve.client_keys(bundle, {})
        assert client is not None
        assert client.own.public == found["device", "radar"]
        assert client.server == curve.read_pair(keys / curve.SERVER_SECRET).public
        assert (bundle / curve.CLIENT_SECRET).stat().st_mode & 0o777 == 0o600
        assert bundle.stat().st_mode & 0o777 == 0o700
    else:
        assert Killed in said or not bundle.exists()
    assert "radar" not in said or ("device", "radar") in found
    assert "revoked" not in said or ("operator", "old") not in found
    assert not done or found.keys() == {("device", "radar")}


INIT = Writer("keys-init", lambda folder: folder.mkdir(), _init_again, _made, (RvsenseError,))
CLIENTS = Writer("keys", _a_server, _clients, _allowed, (RvsenseError,))
