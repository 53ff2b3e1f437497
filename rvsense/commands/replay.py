"""`rvsense replay`: send a dataset or a recording to a daemon."""

import argparse
from pathlib import Path

from rvsense.commands.options import keys_option, share, speed


def add_options(parser: argparse.ArgumentParser) -> None:
    from rvsense.config import Endpoints

    parser.add_argument("path", type=Path, metavar="DIR|FILE", help="a dataset, or a recording")
    parser.add_argument(
        "--to",
        default=Endpoints().intake,
        metavar="ENDPOINT",
        help="a daemon's intake (%(default)s)",
    )
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="N|max",
        help="times the source's own rate; max = as fast as it is taken (%(default)g)",
    )
    parser.add_argument("--loop", action="store_true", help="again and again")
    parser.add_argument(
        "--labels",
        type=share,
        metavar="FRACTION",
        help="share of a dataset's annotations to learn from (0); a recording's go as recorded",
    )
    parser.add_argument("--score", action="store_true", help="send the other annotations as truth")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="chooses the annotations (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="end with a report as one JSON line")
    keys_option(parser)
    parser.add_argument("--until-pid", type=int, metavar="PID", help="stop when this has gone")


def run(options: argparse.Namespace) -> int:
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
            keys=options.keys,
            until_pid=options.until_pid,
        )
    )
