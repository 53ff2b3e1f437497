"""`rvsense keys`: who may connect to a daemon."""

import argparse
import json
import sys
from pathlib import Path

ROLES = ("device", "subscriber", "operator", "daemon")
RELOAD = "a running daemon heeds it after `systemctl reload`, or SIGHUP"


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _action(actions, "init", _init, "make the server's keys, in a folder that allows nobody yet")
    new = _action(actions, "new", _new, "make a client's keys, and allow it")
    _whose(new)
    new.add_argument("--out", type=Path, metavar="DIR", help="its folder; DIR/bundles/ROLE-NAME")
    allow = _action(actions, "allow", _allow, "let in a key that was made elsewhere")
    _whose(allow)
    allow.add_argument("public", metavar="KEY|FILE", help="a public key, or its client.pub")
    revoke = _action(actions, "revoke", _revoke, "let a client in no more")
    _whose(revoke)
    shown = _action(actions, "list", _list, "show who is allowed")
    shown.add_argument("--json", action="store_true", help="one JSON line each")


def _whose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", choices=ROLES, required=True, help="what the client may do")
    parser.add_argument("name", help="of the client, as you call it")


def run(options: argparse.Namespace) -> int:
    return int(options.action(options))


def _init(options: argparse.Namespace) -> int:
    from rvsense import keyring

    keyring.new_server(options.folder)
    print(f"{options.folder}: made; start the daemon with --keys {options.folder}")
    return 0


def _new(options: argparse.Namespace) -> int:
    from rvsense import keyring

    bundle = keyring.new_client(options.folder, options.role, options.name, options.out)
    print(f"{bundle}: give this folder to {options.role} {options.name}, and remove it here")
    print(f"rvsense keys: {RELOAD}", file=sys.stderr)
    return 0


def _allow(options: argparse.Namespace) -> int:
    from rvsense import curve, keyring

    given = options.public.encode()
    literal = curve.KEY.fullmatch(given)
    key = curve.parse("KEY", given) if literal else curve.read_public(Path(options.public))
    keyring.allow(options.folder, options.role, options.name, key)
    print(f"rvsense keys: {RELOAD}", file=sys.stderr)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from rvsense import keyring

    keyring.revoke(options.folder, options.role, options.name)
    print(f"rvsense keys: {RELOAD}", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    from rvsense import curve, keyring
    from rvsense.gate import Allowed

    server = curve.read_public(options.folder / curve.SERVER_PUBLIC)
    everybody = [Allowed("server", "", server), *keyring.allowed(options.folder)]
    for one in everybody:
        key = one.public.decode()
        if options.json:
            print(json.dumps({"role": one.role, "name": one.name, "public": key}))
        else:
            print(f"{one.role:<11} {one.name:<24} {key}")
    return 0


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: object,
    text: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the server's folder of keys")
    parser.set_defaults(action=action)
    return parser
