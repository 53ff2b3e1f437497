"""`rvsense evaluate`: the paper's protocol over a dataset."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="DIR", help="a dataset with images and labels")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="REPORT",
        help="folder for report.html, metrics.json and the figures; the same one goes on",
    )
    parser.add_argument(
        "--preset",
        choices=("edge", "paper"),
        default="edge",
        help="networks and recipe: small ones, or the paper's, for a GPU (%(default)s)",
    )
    parser.add_argument(
        "--budget",
        choices=("quick", "full"),
        default="quick",
        help="minutes, or an hour for all shares of labels and more seeds (%(default)s)",
    )
    parser.add_argument(
        "--split",
        choices=("sequence", "frame", "site"),
        default="sequence",
        help="what training and testing do not share; by frame they share sequences (sequence)",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="repeat with N seeds (2, full 3)")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes; 0 = cores")
    parser.add_argument(
        "--teacher-weights", default="", metavar="FILE", help="teacher weights of your own"
    )


def run(options: argparse.Namespace) -> int:
    from rvsense.learner.offline import command
    from rvsense.learner.offline.evaluate import Options
    from rvsense.replay.layouts import open_dataset

    dataset = open_dataset(options.path)
    return command.run(
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
