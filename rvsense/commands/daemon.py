"""`rvsense daemon`: take frames in, learn, answer, serve."""

import argparse
from pathlib import Path
from typing import Any

from rvsense.commands.options import share, speed
from rvsense.errors import UsageError
from rvsense.leaving import leave_after

DAEMON_VALUES = (
    ("--replay", "replay.path", "DIR|FILE", "play this dataset or recording into it"),
    ("--speed", "replay.speed", "N|max", "replay rate; max = lock-step, the same on every run"),
    ("--labels", "replay.labels", "FRACTION", "share of annotations the classifier may see"),
    ("--label-source", "learning.label_source", "S", "annotations, or detector: pseudo-labels"),
    ("--learner", "learner", "ENDPOINT", "use a learner that runs elsewhere"),
    ("--preset", "learning.preset", "P", "edge, paper or auto"),
    ("--teacher-weights", "learning.teacher_weights", "FILE", "teacher weights of your own"),
    ("--state-dir", "state_dir", "D", "models and checkpoints"),
    ("--seed", "seed", "N", "seed of training, sampling and the choice of labels"),
    ("--intake", "endpoints.intake", "E", "frames come in here"),
    ("--results", "endpoints.results", "E", "classifications go out here"),
    ("--requests", "endpoints.requests", "E", "requests are answered here"),
    ("--http", "endpoints.http", "HOST:PORT", "the live page, metrics and health"),
    ("--keys", "access.keys", "DIR", "let in whom these keys allow, by CURVE (rvsense keys)"),
    ("--learner-keys", "access.learner_keys", "DIR", "this daemon's keys for --learner"),
    ("--log-level", "log_level", "LEVEL", "debug, info, warning or error"),
)
"""Flags that take a value: each is a key of the configuration file."""

DAEMON_SWITCHES = (
    ("--loop", "replay.loop", True, "replay again and again"),
    ("--exit-at-end", "replay.exit_at_end", True, "exit after the replay"),
    ("--insecure", "access.insecure", True, "let anybody in who reaches a port"),
    ("--no-learn", "learn", False, "serve only"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    from rvsense import configfile, state
    from rvsense.config import Config

    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML configuration")
    parser.add_argument("--print-config", action="store_true", help="print it whole, and exit")
    readers: dict[str, Any] = {"replay.speed": speed, "replay.labels": share, "seed": int}
    usual = configfile.flatten(Config()) | {"state_dir": state.state_dir(Config())}
    for flag, key, metavar, text in DAEMON_VALUES:
        told = text if usual[key] == "" else f"{text} ({usual[key]})"
        parser.add_argument(flag, dest=key, type=readers.get(key, str), metavar=metavar, help=told)
    for flag, key, value, text in DAEMON_SWITCHES:
        parser.add_argument(flag, dest=key, action="store_const", const=value, help=text)


def run(options: argparse.Namespace) -> int:
    from rvsense import configfile

    keys = [row[1] for row in (*DAEMON_VALUES, *DAEMON_SWITCHES)]
    given = {key: getattr(options, key) for key in keys}
    overrides = {key: value for key, value in given.items() if value is not None}
    config = configfile.load(options.config, overrides)
    if options.print_config:
        print(configfile.render(config), end="")
        return 0
    if not config.replay.path and (config.replay.loop or config.replay.exit_at_end):
        raise UsageError("--loop and --exit-at-end go with --replay DIR")
    from rvsense.daemon import service

    reload = (lambda: configfile.load(options.config, overrides)) if options.config else None
    return leave_after(lambda: service.run(config, reload=reload))
