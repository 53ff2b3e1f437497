"""`rvsense top`: a daemon at a glance."""

import argparse

from rvsense.commands.options import requests_argument


def add_options(parser: argparse.ArgumentParser) -> None:
    requests_argument(parser)
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="(%(default)s)")
    parser.add_argument("--once", action="store_true", help="one screen, then end")
    parser.add_argument("--json", action="store_true", help="the daemon's status, one JSON line")


def run(options: argparse.Namespace) -> int:
    from rvsense.terminal.top import top

    return top(
        options.endpoint,
        credentials=options.keys,
        every_s=options.every,
        once=options.once,
        as_json=options.json,
    )
