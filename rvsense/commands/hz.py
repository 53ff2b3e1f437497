"""`rvsense hz`: rate, latency and gaps of the results."""

import argparse

from rvsense.commands.options import watch_options


def add_options(parser: argparse.ArgumentParser) -> None:
    watch_options(parser)
    parser.add_argument(
        "--window", type=float, default=5.0, metavar="SECONDS", help="one line each (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line each")


def run(options: argparse.Namespace) -> int:
    from rvsense.watch import hz

    return hz(
        options.endpoint,
        options.site,
        options.count,
        window_s=options.window,
        as_json=options.json,
        timeout_s=options.timeout,
        keys=options.keys,
    )
