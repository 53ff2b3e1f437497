"""The server's folder of keys: its own pair, and whom it lets in by role.

    server.key               its secret, 0600; a copy among systemd's credentials goes before it
    server.pub               what clients trust it by
    devices/NAME.pub         may send frames
    subscribers/NAME.pub     may follow results
    operators/NAME.pub       may ask for things, and follow results
    daemons/NAME.pub         may use the learner that has this folder
    bundles/ROLE-NAME/       a client's folder, to be handed over and removed here

Allowing is writing a file, revoking is removing one; a running daemon reads them again on SIGHUP.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from rvsense import atomic, curve
from rvsense.errors import ConfigError, UsageError
from rvsense.gate import Allowed

ROLES = {
    "device": "devices",
    "subscriber": "subscribers",
    "operator": "operators",
    "daemon": "daemons",
}
"""Role → folder of those who have it."""

BUNDLES = "bundles"
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
NAMES = "1-64 of [A-Za-z0-9_.-], no dot first, expected"
MOST_KEYS = 4096
"""Of all roles together: a folder with more is a mistake, and would hold up the start."""


def new_server(folder: Path) -> curve.Pair:
    """Make the folder with a pair for the server, allowing nobody yet.

    Raises:
        UsageError: it has one already.
        ConfigError: it cannot be written.
    """
    pair, secret = curve.new_pair(), folder / curve.SERVER_SECRET
    try:
        if secret.exists():
            raise FileExistsError
        _make(folder)
        for name in ROLES.values():
            _make(folder / name)
        curve.write_public(folder / curve.SERVER_PUBLIC, pair.public)
        curve.write_secret(secret, pair.secret)  # last: until it is there, one may begin anew
    except FileExistsError:
        raise UsageError(
            f"{secret} is there already: all clients trust it; remove it by hand to begin anew"
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    return pair


def new_client(folder: Path, role: str, name: str, out: Path | None = None) -> Path:
    """Make a pair for a client, allow it, and write the folder that it is to be given.

    Returns:
        The client's folder: `out`, or bundles/ROLE-NAME.

    Raises:
        UsageError: the role or the name is impossible, or taken.
        ConfigError: `folder` has no server.pub, or something cannot be written.
    """
    server = curve.read_public(folder / curve.SERVER_PUBLIC)
    pair = curve.new_pair()
    bundle = out or folder / BUNDLES / f"{role}-{name}"
    _check_free(folder, role, name, pair.public)

    def fill(aside: Path) -> None:
        curve.write_secret(aside / curve.CLIENT_SECRET, pair.secret)
        curve.write_public(aside / curve.CLIENT_PUBLIC, pair.public)
        curve.write_public(aside / curve.SERVER_PUBLIC, server)
        if bundle.exists():
            bundle.rmdir()  # empty, as was seen below

    try:
        if bundle.exists() and any(bundle.iterdir()):
            raise UsageError(f"{bundle} is not empty: choose another with --out, or remove it")
        if out is None:
            bundle.parent.mkdir(mode=0o700, exist_ok=True)
            atomic.remove_leftovers(bundle.parent)
    except OSError as error:
        raise _unwritable(bundle, error) from None
    try:
        atomic.write_folder(bundle, fill, mode=0o700)
        # Last: nobody is allowed whose keys were not written.
        allow(folder, role, name, pair.public)
    except BaseException as error:
        shutil.rmtree(bundle, ignore_errors=True)  # it was not there, or empty
        if isinstance(error, OSError):
            raise _unwritable(bundle, error) from None
        raise
    return bundle


def allow(folder: Path, role: str, name: str, public: bytes) -> None:
    """Let the owner of a public key in, from the daemon's next reload on.

    Raises:
        UsageError: the role or the name is impossible, the name or the key is taken.
        ConfigError: `folder` cannot be read, or the key not be written.
    """
    _check_free(folder, role, name, public)
    path = folder / ROLES[role] / f"{name}.pub"
    try:
        _make(path.parent)
        curve.write_public(path, public)
    except OSError as error:
        with suppress(OSError):  # it may be there all the same, and we say that it is not
            path.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def revoke(folder: Path, role: str, name: str) -> None:
    """Let nobody in by this name any more, from the daemon's next reload on.

    Raises:
        UsageError: nobody has this role and name.
        ConfigError: the file cannot be removed.
    """
    _check(role, name)
    try:
        (folder / ROLES[role] / f"{name}.pub").unlink()
    except FileNotFoundError:
        raise UsageError(f"no {role} {name} is allowed by {folder}") from None
    except OSError as error:
        raise _unwritable(folder, error) from None


def allowed(folder: Path) -> list[Allowed]:
    """Everybody who is allowed, by role and name.

    Raises:
        ConfigError: a folder cannot be read, a file is no key or its name none, a key has two
            roles, or there are too many.
    """
    found: dict[bytes, Allowed] = {}
    for one in _listed(folder):
        other = found.setdefault(one.public, one)
        if other is not one:
            raise ConfigError(
                f"{folder}: {one.role} {one.name} has the key of {other.role} {other.name}; "
                "give each its own"
            )
        if len(found) > MOST_KEYS:
            raise ConfigError(f"{folder}: more than {MOST_KEYS} keys are allowed; revoke some")
    return list(found.values())


def server_pair(folder: Path, environ: Mapping[str, str] = os.environ) -> curve.Pair:
    """The server's pair: its secret among systemd's credentials, else in the folder.

    Raises:
        ConfigError: there is none, or others may read it.
    """
    credentials = environ.get(curve.CREDENTIALS)
    if credentials and (Path(credentials) / curve.SERVER_SECRET).exists():
        return curve.read_pair(Path(credentials) / curve.SERVER_SECRET)
    return curve.read_pair(folder / curve.SERVER_SECRET)


def _listed(folder: Path) -> Iterator[Allowed]:
    there = _files(folder)  # what cannot be read is not the same as nobody
    for role, kept in ROLES.items():
        for file in _files(folder / kept) if kept in there else ():
            if file.endswith(".pub"):
                name, path = file.removesuffix(".pub"), folder / kept / file
                if not NAME.fullmatch(name):
                    raise ConfigError(f"{folder / kept}: {file!r} is not NAME.pub; {NAMES}")
                yield Allowed(role, name, curve.read_public(path))


def _files(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be read ({error.strerror}), so nobody knows who is allowed; "
            "`rvsense keys init` makes such a folder"
        ) from None


def _make(folder: Path) -> None:
    # Whatever the umask: who makes the keys is seldom who runs the daemon, which has to list them.
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o755)


def _check_free(folder: Path, role: str, name: str, public: bytes) -> None:
    _check(role, name)
    for other in allowed(folder):
        if (other.role, other.name) == (role, name):
            raise UsageError(f"{role} {name} is allowed already; revoke it first")
        if other.public == public:
            raise UsageError(f"this key is {other.role} {other.name} already: one key, one role")


def _check(role: str, name: str) -> None:
    if role not in ROLES:
        raise UsageError(f"role {role!r}: one of {', '.join(ROLES)} expected")
    if not NAME.fullmatch(name):
        raise UsageError(f"name {name!r}: {NAMES}")


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot be written ({error.strerror})")
