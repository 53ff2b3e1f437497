"""`rvsense classify`: classify stored heatmaps."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.npy", help="heatmaps of CRUW")
    parser.add_argument("--state-dir", default="", metavar="D", help="where the models are")
    parser.add_argument("--model", type=Path, metavar="DIR", help="this model, not the current one")


def run(options: argparse.Namespace) -> int:
    from rvsense.classify import classify_files
    from rvsense.config import Config
    from rvsense.state import state_dir

    return classify_files(
        options.files, state_dir(Config(state_dir=options.state_dir)), options.model
    )
