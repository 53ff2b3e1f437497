"""The command line: `rvsense COMMAND`. Each command imports what it needs when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rvsense import __version__
from rvsense.config import Config, Endpoints, Pairing, Simulate
from rvsense.errors import RvsenseError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 internal, 2 usage, 78 configuration."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["learner"]:
            return _run_learner(given[1:])
        options = _parser().parse_args(given)
        return int(options.run(options))
    except RvsenseError as error:
        print(f"rvsense: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rvsense", description="A camera teaches a radar; the radar answers on its own."
    )
    parser.add_argument("--version", action="version", version=f"rvsense {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_daemon, _replay, _learner, _simulate, _evaluate, _classify, _pair, _echo, _hz):
        add(commands)
    return parser


DAEMON_VALUES = (
    ("--replay", "replay.path", "DIR", "play this dataset into it"),
    ("--speed", "replay.speed", "N|max", "replay rate; max = lock-step, the same on every run"),
    ("--labels", "replay.labels", "FRACTION", "share of annotations the classifier may see (0.01)"),
    ("--label-source", "learning.label_source", "S", "annotations, or detector: pseudo-labels"),
    ("--learner", "learner", "ENDPOINT", "use a learner that runs elsewhere"),
    ("--preset", "learning.preset", "P", "edge, paper or auto"),
    ("--teacher-weights", "learning.teacher_weights", "FILE", "teacher weights of your own"),
    ("--state-dir", "state_dir", "D", "models and checkpoints"),
    ("--seed", "seed", "N", "seed of training, sampling and the choice of labels"),
    ("--intake", "endpoints.intake", "E", "frames come in here"),
    ("--results", "endpoints.results", "E", "classifications go out here"),
    ("--requests", "endpoints.requests", "E", "requests are answered here"),
    ("--http", "endpoints.http", "HOST:PORT", "metrics and health"),
    ("--log-level", "log_level", "LEVEL", "debug, info, warning or error"),
)
"""Flags that take a value: each is a key of the configuration file."""

DAEMON_SWITCHES = (
    ("--loop", "replay.loop", True, "replay again and again"),
    ("--exit-at-end", "replay.exit_at_end", True, "exit after the replay"),
    ("--no-learn", "learn", False, "serve only"),
)


def _daemon(commands: Any) -> None:
    parser = commands.add_parser("daemon", help="take frames in, learn, answer, serve")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML configuration")
    parser.add_argument("--print-config", action="store_true", help="print it whole, and exit")
    readers: dict[str, Any] = {"replay.speed": _speed, "replay.labels": _share, "seed": int}
    for flag, key, metavar, text in DAEMON_VALUES:
        parser.add_argument(flag, dest=key, type=readers.get(key, str), metavar=metavar, help=text)
    for flag, key, value, text in DAEMON_SWITCHES:
        parser.add_argument(flag, dest=key, action="store_const", const=value, help=text)
    parser.set_defaults(run=_run_daemon)


def _run_daemon(options: argparse.Namespace) -> int:
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
    return service.run(config, reload=reload)


def _replay(commands: Any) -> None:
    parser = commands.add_parser("replay", help="send a dataset to a daemon")
    parser.add_argument("path", type=Path, metavar="DIR")
    parser.add_argument("--to", default=Endpoints().intake, metavar="ENDPOINT")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N|max")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--labels", type=_share, default=0.0, metavar="FRACTION")
    parser.add_argument("--score", action="store_true", help="send the other annotations as truth")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with a report as one JSON line")
    parser.add_argument("--until-pid", type=int, metavar="PID", help="stop when this has gone")
    parser.set_defaults(run=_run_replay)


def _run_replay(options: argparse.Namespace) -> int:
    from rvsense.replay.player import PlayerSettings, main

    return main(
        PlayerSettings(
            path=options.path,
            to=options.to,
            speed=options.speed or None,
            loop=options.loop,
            labels=options.labels,
            score=options.score,
            seed=options.seed,
            json=options.json,
            until_pid=options.until_pid,
        )
    )


def _learner(commands: Any) -> None:
    # Listed here, run before parsing: it has options of its own.
    commands.add_parser("learner", help="the learner alone, for a daemon with --learner")


def _run_learner(arguments: list[str]) -> int:
    from rvsense.learner.main import main as learner_main

    return learner_main(arguments)


def _simulate(commands: Any) -> None:
    defaults = Simulate()
    parser = commands.add_parser("simulate", help="write a simulated dataset in ROD2021 layout")
    parser.add_argument("out", type=Path, metavar="OUT")
    for name in ("sequences", "frames", "sites", "seed", "jobs"):
        default = getattr(defaults, name)
        doc = Simulate.__dataclass_fields__[name].metadata["doc"]
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{doc} ({default})"
        )
    parser.add_argument("--mixed", action="store_true", help="also scenes of several classes")
    parser.set_defaults(run=_run_simulate)


def _run_simulate(options: argparse.Namespace) -> int:
    from rvsense.replay.simulate.run import simulate

    report = simulate(
        options.out,
        Simulate(
            sequences=options.sequences,
            frames=options.frames,
            sites=options.sites,
            seed=options.seed,
            mixed=options.mixed,
            jobs=options.jobs,
        ),
    )
    print(
        f"{report.out}: {report.sequences} sequences ({report.test_sequences} for test), "
        f"{report.frames} frames, {report.frames_per_second:.0f} frames/s",
        file=sys.stderr,
    )
    return 0


def _evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="the paper's protocol: tables, figures, a report")
    parser.add_argument("path", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="REPORT")
    parser.add_argument("--preset", choices=("edge", "paper"), default="edge")
    parser.add_argument("--budget", choices=("quick", "full"), default="quick")
    parser.add_argument(
        "--split",
        choices=("sequence", "frame", "site"),
        default="sequence",
        help="what training and testing do not share; by frame they share sequences (sequence)",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="repeat with N seeds (2, full 3)")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes; 0 = cores")
    parser.add_argument("--teacher-weights", default="", metavar="FILE")
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> int:
    from rvsense.learner.offline.command import run
    from rvsense.learner.offline.evaluate import Options
    from rvsense.replay.layouts import open_dataset

    dataset = open_dataset(options.path)
    return run(
        dataset.sequences,
        Options(
            out=options.out,
            name=options.path.resolve().name,
            simulated=dataset.simulated,
            preset=options.preset,
            budget=options.budget,
            split=options.split,
            seeds=options.seeds,
            jobs=options.jobs,
            teacher_weights=options.teacher_weights,
        ),
    )


def _classify(commands: Any) -> None:
    parser = commands.add_parser("classify", help="classify stored heatmaps, one JSON line each")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.npy")
    parser.add_argument("--state-dir", default="", metavar="D", help="where the models are")
    parser.add_argument("--model", type=Path, metavar="DIR", help="this model, not the current one")
    parser.set_defaults(run=_run_classify)


def _run_classify(options: argparse.Namespace) -> int:
    from rvsense.classify import classify_files
    from rvsense.state import state_dir

    return classify_files(
        options.files, state_dir(Config(state_dir=options.state_dir)), options.model
    )


def _pair(commands: Any) -> None:
    parser = commands.add_parser("pair", help="why were my frames not paired? the core alone")
    parser.add_argument("trace", metavar="TRACE", help="JSON lines in arrival order; - = stdin")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML with a [pairing] table")
    for flag in ("tolerance", "offset", "lateness", "idle-timeout"):
        parser.add_argument(f"--{flag}", type=float, metavar="SECONDS")
    parser.set_defaults(run=_run_pair)


def _run_pair(options: argparse.Namespace) -> int:
    from rvsense import configfile
    from rvsense.daemon.pair_trace import main

    names = ("tolerance", "offset", "lateness", "idle_timeout")
    overrides = {
        f"pairing.{name}_s": getattr(options, name)
        for name in names
        if getattr(options, name) is not None
    }
    settings: Pairing = configfile.load(options.config, overrides).pairing
    return main(options.trace, settings)


def _echo(commands: Any) -> None:
    parser = commands.add_parser("echo", help="print results as they come")
    _watch_options(parser)
    parser.add_argument("--json", action="store_true", help="whole messages, one JSON line each")
    parser.set_defaults(run=_run_echo)


def _run_echo(options: argparse.Namespace) -> int:
    from rvsense.watch import echo

    return echo(options.endpoint, options.site, options.count, options.json)


def _hz(commands: Any) -> None:
    parser = commands.add_parser("hz", help="rate, latency and gaps of the results")
    _watch_options(parser)
    parser.add_argument("--window", type=float, default=5.0, metavar="SECONDS")
    parser.set_defaults(run=_run_hz)


def _run_hz(options: argparse.Namespace) -> int:
    from rvsense.watch import hz

    return hz(options.endpoint, options.site, options.count, options.window)


def _watch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoint", nargs="?", default=Endpoints().results)
    parser.add_argument("--site", default="", metavar="NAME")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after N; 0 = never")


def _speed(text: str) -> float:
    """A rate; 0 for max."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0.001 <= speed <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is neither max nor a rate of 0.001 to 1000")
    return speed


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return share
