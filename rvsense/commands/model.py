"""`rvsense model`: list, show, roll back, release and export published models."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rvsense.commands.options import keys_option

if TYPE_CHECKING:
    from rvsense.models.trial import Heatmaps

OWN_FRAMES = 16
MEANT = "its id, the beginning of one, current or previous"


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="all models, newest first")
    keys_option(listed)
    listed.add_argument("--check", action="store_true", help="verify every checksum")
    shown = actions.add_parser("show", help="one model: checksums, labels, calibration, settings")
    shown.add_argument("model", nargs="?", default="current", metavar="MODEL", help=MEANT)
    back = actions.add_parser("rollback", help="let an earlier model serve, and pin it")
    back.add_argument("model", nargs="?", default="previous", metavar="MODEL", help=MEANT)
    freed = actions.add_parser("release", help="take the pin off: newer models may serve again")
    for action in (back, freed):
        action.add_argument(
            "--requests", default="", metavar="ENDPOINT",
            help="requests endpoint of the daemon; default: of the one that runs on --state-dir",
        )  # fmt: skip
        keys_option(action)
    exported = actions.add_parser("export", help="one file that needs no rvsense, checked")
    exported.add_argument("model", metavar="MODEL", help=MEANT)
    exported.add_argument("out", type=Path, metavar="OUT.onnx|OUT.safetensors", help="a new file")
    exported.add_argument(
        "--format", choices=("safetensors", "onnx"), help="default: what OUT ends in"
    )
    exported.add_argument("--force", action="store_true", help="replace OUT if it is there")
    for action in (listed, shown, back, freed, exported):
        action.add_argument("--state-dir", default="", metavar="D", help="where the models are")
        action.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    from rvsense.config import Config
    from rvsense.state import state_dir

    actions = {"list": _list, "show": _show, "export": _export}
    action = actions.get(options.action, _order)
    return action(options, state_dir(Config(state_dir=options.state_dir)))


def _list(options: argparse.Namespace, state_dir: Path) -> int:
    from rvsense.errors import UsageError
    from rvsense.models import listing, orders, printing

    scores = orders.scores(state_dir, options.keys)
    found = [
        entry | {"answers": scores.get(entry["id"])}
        for entry in listing.entries(state_dir, check=options.check)
    ]
    if not found:
        raise UsageError(
            f"no models in {state_dir / 'models'}; name a daemon's directory with --state-dir"
        )
    told = {"state_dir": str(state_dir), "models": found}
    print(json.dumps(told) if options.json else "\n".join(printing.table(found)))
    return 1 if options.check and any(entry["state"] == "damaged" for entry in found) else 0


def _show(options: argparse.Namespace, state_dir: Path) -> int:
    from rvsense.models import listing, printing

    facts = listing.details(listing.locate(state_dir, options.model))
    print(json.dumps(facts) if options.json else "\n".join(printing.sheet(facts)))
    return 0


def _order(options: argparse.Namespace, state_dir: Path) -> int:
    from rvsense.models import orders, printing

    if options.action == "rollback":
        done = orders.rollback(state_dir, options.model, options.requests, options.keys)
    else:
        done = orders.release(state_dir, options.requests, options.keys)
    print(json.dumps(done) if options.json else "\n".join(printing.done(done)))
    return 0


def _export(options: argparse.Namespace, state_dir: Path) -> int:
    from rvsense.models import listing
    from rvsense.models.export import export, lines

    path = listing.locate(state_dir, options.model)
    report = export(
        path,
        options.out,
        form=options.format,
        force=options.force,
        frames=_own_frames(state_dir),
    )
    print(json.dumps(report) if options.json else "\n".join(lines(report)))
    return 0


def _own_frames(state_dir: Path) -> "list[Heatmaps]":
    """Some of the labelled radar frames that the daemon keeps to examine models on."""
    import numpy as np

    from rvsense.daemon.exam_store import SUFFIX, decode

    found = []
    for path in sorted((state_dir / "exam").glob(f"[0-9]*{SUFFIX}"))[-OWN_FRAMES:]:
        try:
            found.append(decode(path.read_bytes())[0].astype(np.float32))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged: the daemon sets it aside when it starts
    return found
