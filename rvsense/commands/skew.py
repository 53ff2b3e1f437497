"""`rvsense skew`: do radar and camera tell the same time?"""

import argparse

from rvsense.commands.options import requests_argument


def add_options(parser: argparse.ArgumentParser) -> None:
    requests_argument(parser)
    parser.add_argument("--site", default="", metavar="NAME", help="this one alone")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="again and again")
    parser.add_argument("--json", action="store_true", help="one JSON line: site → figures")


def run(options: argparse.Namespace) -> int:
    from rvsense.terminal.skew import skew

    return skew(
        options.endpoint,
        options.site,
        keys=options.keys,
        every_s=options.every,
        as_json=options.json,
    )
