"""`rvsense echo`: print what a daemon publishes, as it comes."""

import argparse

from rvsense.commands.options import watch_options


def add_options(parser: argparse.ArgumentParser) -> None:
    watch_options(parser)
    parser.add_argument(
        "--topic",
        choices=("results", "model", "status"),
        default="results",
        help="results; which model answers; the daemon's status once a second",
    )
    parser.add_argument("--json", action="store_true", help="whole messages, one JSON line each")


def run(options: argparse.Namespace) -> int:
    from rvsense.watch import echo

    return echo(
        options.endpoint,
        options.site,
        options.count,
        as_json=options.json,
        topic=options.topic,
        timeout_s=options.timeout,
        keys=options.keys,
    )
