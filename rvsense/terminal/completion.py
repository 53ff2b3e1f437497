"""What a shell must know to complete `rvsense` and its options."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import shtab

from rvsense.cli import COMMANDS, parser

FOLDERS = {"DIR", "D", "OUT", "REPORT", "FOLDER"}
FILES = {"FILE", "FILE.npy", "TRACE", "PATH", "SOURCE"}


def script(shell: str) -> str:
    """The completion script for this shell, all options of all commands in it."""
    whole = parser(list(COMMANDS))
    for action in _actions(whole):
        completes = _completes(action)
        if completes is not None:
            action.complete = completes  # type: ignore[attr-defined]
    return shtab.complete(whole, shell) + "\n"


def _completes(action: argparse.Action) -> Mapping[str, object] | None:
    """What shtab completes an option's value by, told from its name in the help."""
    names = set(str(action.metavar).split("|"))
    if names <= FOLDERS:
        return shtab.DIRECTORY
    return shtab.FILE if names & FILES or action.type is Path else None


def _actions(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of a parser and of all its commands."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                yield from _actions(command)
        else:
            yield action
