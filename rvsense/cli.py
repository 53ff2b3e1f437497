"""The command line: `rvsense COMMAND`.

Each command is a module of rvsense.commands, imported when it is asked for: `rvsense --help`
costs little more than Python itself.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from rvsense import __version__
from rvsense.errors import RvsenseError, UsageError
from rvsense.journal import last_words

COMMANDS = {
    "daemon": "take frames in, learn, answer, serve",
    "replay": "send a dataset or a recording to a daemon",
    "record": "record a daemon, or convert, check, recover, export a recording",
    "learner": "the learner alone, for a daemon with --learner",
    "device": "live radars and cameras that send to a daemon",
    "simulate": "write a simulated dataset in ROD2021 layout",
    "evaluate": "the paper's protocol: tables, figures, a report",
    "classify": "classify stored heatmaps, one JSON line each",
    "pair": "why were my frames not paired? the core alone",
    "echo": "print results as they come",
    "hz": "rate, latency and gaps of the results",
    "top": "a daemon at a glance: sites, learner, model, health",
    "skew": "do radar and camera tell the same time?",
    "label": "say what was there: one frame, a span, a CSV file",
    "model": "list, show, roll back, release or export models",
    "doctor": "what this machine can do, what is there, what to run next",
    "keys": "who may connect: CURVE keys by role",
    "completion": "the Tab key: a script for bash, zsh or fish",
}
"""Name → what it does, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 internal, 2 usage, 78 configuration."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        parser(given).print_help(sys.stderr)
        return UsageError.status
    try:
        options, unknown = parser(given).parse_known_args(given)
        if unknown:  # said by the command itself, which shows what it does know
            options.command.error(f"unrecognized arguments: {' '.join(unknown)}")
        return int(options.run(options))
    except RvsenseError as error:
        last_words(f"rvsense: {error}")
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a disk that is full, or fails: it says of itself what it is
        last_words(f"rvsense: {error}")
        return 1


def parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name, those named in `given` with their options."""
    whole = argparse.ArgumentParser(
        prog="rvsense", description="A camera teaches a radar; the radar answers on its own."
    )
    whole.add_argument("--version", action="version", version=f"rvsense {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in given:
            module = _module(name)
            module.add_options(command)
            command.set_defaults(run=module.run, command=command)
    return whole


def _module(name: str) -> ModuleType:
    return import_module(f"rvsense.commands.{name}")
