"""Options and value readers that several commands share."""

import argparse

ASKED = "the daemon's requests endpoint (%(default)s)"


def watch_options(parser: argparse.ArgumentParser) -> None:
    """Whose results, and how many."""
    from rvsense.config import Endpoints

    parser.add_argument(
        "endpoint",
        nargs="?",
        default=Endpoints().results,
        help="the daemon's results endpoint (%(default)s)",
    )
    parser.add_argument("--site", default="", metavar="NAME", help="this one alone")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after N; 0 = never")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="fail after so long without any"
    )
    keys_option(parser)


def keys_option(parser: argparse.ArgumentParser) -> None:
    """The keys of a client, as `rvsense.curve.client_keys` takes them."""
    text = "folder with client.key and server.pub; else $RVSENSE_KEYS, else no CURVE"
    parser.add_argument("--keys", metavar="DIR", help=text)


def requests_option(parser: argparse.ArgumentParser) -> None:
    """Which daemon is asked, and as whom."""
    parser.add_argument("--requests", default=_requests(), metavar="ENDPOINT", help=ASKED)
    keys_option(parser)


def requests_argument(parser: argparse.ArgumentParser) -> None:
    """The same, where the endpoint comes without a flag."""
    parser.add_argument("endpoint", nargs="?", default=_requests(), help=ASKED)
    keys_option(parser)


def _requests() -> str:
    from rvsense.config import Endpoints

    return Endpoints().requests


def speed(text: str) -> float:
    """A rate; 0 for max."""
    if text == "max":
        return 0.0
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.001 <= rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is neither max nor a rate of 0.001 to 1000")
    return rate


def share(text: str) -> float:
    """A share between 0 and 1."""
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return part
