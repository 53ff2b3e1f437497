"""`python -m tests.faults [WRITER ...]`: operations of each that went wrong, and all was whole."""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog
import torch

from tests.faults.disk import HOWS
from tests.faults.every import every
from tests.faults.writers import WRITERS


def main() -> int:
    """Try those that are named, or all; 1 where something did not hold."""
    known = {writer.name: writer for writer in WRITERS}
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("writers", nargs="*", metavar="WRITER", help=", ".join(known))
    parser.add_argument("--how", choices=HOWS, action="append", help="only this (all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    hows, sum_of_all, began = options.how or HOWS, 0, time.monotonic()
    print("| writer | " + " | ".join(hows) + " |")
    print("|---|" + "---:|" * len(hows))
    for name in options.writers or known:
        totals = []
        for how in hows:
            with tempfile.TemporaryDirectory(prefix="rvsense-faults-") as folder:
                totals.append(every(known[name], how, Path(folder)).total)
        sum_of_all += sum(totals)
        print(f"| {name} | " + " | ".join(map(str, totals)) + " |", flush=True)
    print(
        f"\n{sum_of_all:,} operations went wrong, one by one; after each all was whole, and the "
        f"same done again succeeded ({time.monotonic() - began:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
