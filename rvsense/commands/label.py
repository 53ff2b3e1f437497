"""`rvsense label`: tell a running daemon what was there."""

import argparse

from rvsense.commands.options import requests_option


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "objects",
        nargs="*",
        metavar="OBJECT",
        help="empty, or CLASS@METRES,DEGREES such as car@12.5,-14.3",
    )
    parser.add_argument("--site", default="", metavar="NAME", help="needed where there are several")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stamp", metavar="T", help="the frame of this moment: ns, or a time (UTC)")
    which.add_argument("--last", action="store_true", help="the newest frame")
    which.add_argument(
        "--past", type=float, metavar="SECONDS", help="the frames at hand of the last seconds"
    )
    which.add_argument("--csv", metavar="FILE", help="labels of a file; - = stdin")
    parser.add_argument("--from", dest="start", metavar="T", help="the frames at hand from then …")
    parser.add_argument("--to", dest="end", metavar="T", help="… to then")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=float,
        metavar="SECONDS",
        help="each frame from now on; with --csv: how long to wait for its frames",
    )
    parser.add_argument("--epoch", type=int, metavar="N", help="of this clock, not the newest")
    parser.add_argument(
        "--purpose",
        choices=("train", "score"),
        default="train",
        help="score: only compare the answer with it, and learn nothing (%(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say which frames; send nothing")
    parser.add_argument("--json", action="store_true", help="one JSON line for each label")
    requests_option(parser)


def run(options: argparse.Namespace) -> int:
    from rvsense.labelling.command import Asked, label

    return label(
        Asked(
            words=tuple(options.objects),
            site=options.site,
            stamp=options.stamp,
            last=options.last,
            past_s=options.past,
            csv=options.csv,
            start=options.start,
            end=options.end,
            for_s=options.seconds,
            epoch=options.epoch,
            purpose=options.purpose,
        ),
        endpoint=options.requests,
        keys=options.keys,
        dry=options.dry_run,
        as_json=options.json,
    )
