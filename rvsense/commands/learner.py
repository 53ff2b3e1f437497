"""`rvsense learner`: the learner alone, for any number of daemons."""

import argparse

from rvsense.learner.options import add_options

__all__ = ["add_options", "run"]


def run(options: argparse.Namespace) -> int:
    from rvsense.learner.main import start

    return start(options)
