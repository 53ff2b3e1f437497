"""The help: every command and every option says what it is, and what holds without it."""

import argparse
from collections.abc import Iterator

import pytest

from rvsense.cli import COMMANDS, main, parser
from rvsense.config import Endpoints


def options(of: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Those of a parser and of all its commands, each with the command's name."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)
        else:
            yield of.prog, action


def test_every_option_says_what_it_is() -> None:
    """`--help` has a word on each, of every command."""
    silent = [
        f"{command} {action.metavar or action.dest}"
        for command, action in options(parser(list(COMMANDS)))
        if not action.help
    ]
    assert silent == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_can_be_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No text trips over argparse's own marks, and each begins with what the command is for."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[command] in said or command == "completion"


def test_the_daemons_help_has_the_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it listens and where its state lies can be read off, as they are on this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", "/states")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    with pytest.raises(SystemExit):
        main(["daemon", "--help"])
    said = capsys.readouterr().out
    for value in (Endpoints().intake, Endpoints().http, "/states/rvsense", "(0.01)"):
        assert value in said


def test_nothing_at_all_is_answered_with_all_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`rvsense` alone lists the commands, and is a mistake all the same."""
    assert main([]) == 2
    said = capsys.readouterr().err
    assert all(f"  {command}" in said for command in COMMANDS)


def test_an_unknown_option_is_told_what_its_command_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The usage is the command's, not that of all of them."""
    with pytest.raises(SystemExit) as ended:
        main(["echo", "--cuont", "3"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: rvsense echo")
    assert "unrecognized arguments: --cuont" in said
