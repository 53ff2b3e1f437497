"""`rvsense record`: record a daemon; convert, check, recover or export recordings."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rvsense.commands.options import requests_option, share
from rvsense.errors import UsageError

if TYPE_CHECKING:
    from rvsense.config import Recorder

CAPS = ("segment_mb", "segment_s", "most_gb", "free_gb")
OF_RECORDING = {"seconds": "--for", "proceed": "--continue"}
OF_CONVERTING = {"labels": "--labels", "seed": "--seed"}
OF_WRITING = {name: f"--{name.replace('_', '-')}" for name in CAPS}


def add_options(parser: argparse.ArgumentParser) -> None:
    from rvsense.config import Recorder

    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="OUT folder, or recordings to work on"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--from", dest="source", type=Path, metavar="DIR", help="convert a dataset")
    what.add_argument("--check", action="store_true", help="say what is whole; exit 1 if not all")
    what.add_argument("--recover", type=Path, metavar="OUT", help="write what is whole anew")
    what.add_argument("--export", type=Path, metavar="OUT", help="write a dataset (ROD2021 layout)")
    requests_option(parser)
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="then stop")
    parser.add_argument(
        "--continue", dest="proceed", action="store_true", help="add to what OUT holds already"
    )
    for name in CAPS:
        setting = Recorder.__dataclass_fields__[name]
        doc = f"{setting.metadata['doc']} ({getattr(Recorder(), name):g})"
        kind = int if name == "segment_mb" else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=doc)
    parser.add_argument(
        "--labels",
        type=share,
        metavar="FRACTION",
        help="with --from: share of the annotations that a daemon may learn from (0)",
    )
    parser.add_argument("--seed", type=int, help="with --from: chooses them")
    parser.add_argument("--json", action="store_true", help="end with a report as JSON")


def run(options: argparse.Namespace) -> int:
    _refuse_strangers(options)
    if options.check:
        return _check(options)
    if options.recover:
        return _recover(options)
    if options.export:
        return _export(options)
    if len(options.paths) != 1:
        raise UsageError("one folder to record to is expected")
    return _convert(options) if options.source else _record(options)


def _refuse_strangers(options: argparse.Namespace) -> None:
    """An option of another mode would be given in vain."""
    modes = {"--from": options.source, "--check": options.check}
    modes |= {"--recover": options.recover, "--export": options.export}
    mode = next((flag for flag, given in modes.items() if given), None)
    if mode is None:
        strangers, where = OF_CONVERTING, "recording a daemon"
    elif mode == "--from":
        strangers, where = OF_RECORDING, mode
    else:
        strangers, where = OF_RECORDING | OF_CONVERTING | OF_WRITING, mode
    for name, flag in strangers.items():
        if getattr(options, name) is not None and getattr(options, name) is not False:
            raise UsageError(f"{flag} has no meaning for {where}; leave it out")


def _record(options: argparse.Namespace) -> int:
    from rvsense.replay.recording.caps import caps_of
    from rvsense.replay.recording.recorder import RecordSettings, record

    settings = RecordSettings(
        options.paths[0],
        options.requests,
        caps_of(_settings(options)),
        seconds=options.seconds,
        proceed=options.proceed,
        keys=options.keys,
    )
    books = record(settings)
    _report(options, books.as_map() | {"out": str(settings.out)}, books.as_text())
    return 0


def _convert(options: argparse.Namespace) -> int:
    from rvsense.replay.layouts import open_dataset
    from rvsense.replay.recording.caps import caps_of
    from rvsense.replay.recording.convert import ConvertSettings, convert

    settings = ConvertSettings(
        options.paths[0], caps_of(_settings(options)), options.labels or 0.0, options.seed or 0
    )
    books, tally = convert(open_dataset(options.source), settings)
    values = books.as_map() | {"out": str(settings.out), "rejected": dict(tally.rejected)}
    _report(options, values, books.as_text())
    return 0


def _check(options: argparse.Namespace) -> int:
    from rvsense.replay.recording.check import check

    whole = True
    for path in options.paths:
        report = check(path)
        print(json.dumps(report.as_map()) if options.json else report.as_text(), flush=True)
        whole = whole and report.whole
    return 0 if whole else 1


def _recover(options: argparse.Namespace) -> int:
    from rvsense.replay.recording.recover import recover

    for path in options.paths:
        saved, damage = recover(path, options.recover)
        values = {"path": str(path), "out": str(options.recover), "saved": saved, "damage": damage}
        _report(options, values, f"{path}: {saved} messages saved to {options.recover}")
        for line in damage:
            print(line, file=sys.stderr)
    return 0


def _export(options: argparse.Namespace) -> int:
    from rvsense.replay.recording.export import export

    report = export(options.paths, options.export)
    _report(options, report.as_map(), report.as_text())
    return 0


def _settings(options: argparse.Namespace) -> "Recorder":
    from rvsense.config import Recorder

    given = {name: getattr(options, name) for name in CAPS}
    return Recorder(**{name: value for name, value in given.items() if value is not None})


def _report(options: argparse.Namespace, values: dict[str, object], text: str) -> None:
    if options.json:
        print(json.dumps(values))
    else:
        print(f"rvsense record: {text}", file=sys.stderr)
