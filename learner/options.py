"""The learner's command line, apart from the learner: to read it, nothing heavy is needed."""

import argparse
from pathlib import Path

from rvsense import state
from rvsense.config import Config

OWN_STATE = "learner"
"""In the state directory of a daemon, which has models/ of its own and prunes them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Every option of `rvsense learner` and of `python -m rvsense.learner`."""
    parser.add_argument(
        "--listen",
        "--endpoint",
        dest="endpoint",
        metavar="ENDPOINT",
        help="ZeroMQ address to bind, tcp:// or ipc:// (`learner` of the configuration); "
        "daemons are given it by --learner",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML: `learner`, `seed` and [learning]"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=state.state_dir(Config()) / OWN_STATE,
        metavar="D",
        help="its models and checkpoints, never those of a daemon (%(default)s)",
    )
    parser.add_argument(
        "--config-json",
        default="{}",
        help="[learning] settings, and `seed`, as one JSON map; wins over the file",
    )
    parser.add_argument(
        "--keys", metavar="DIR", help="let in the daemons that these keys allow (rvsense keys)"
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond this machine without keys: anybody there may send and fetch",
    )
    parser.add_argument("--parent", type=int, help="stop when this is no longer the parent")
