"""`python -m tests.simulate --seed N`: replay one; `--seeds A-B`: run many; `--day`."""

import argparse
import sys
import time
from collections import Counter

import torch

from tests.simulate import day
from tests.simulate.run import run_seed

MOST_MB = 1.0
"""Growth in a simulated hour."""


def main() -> int:
    """Run what was asked for; 1 when a guarantee did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seeds", default="0-99", metavar="A-B", help="run all of these")
    parser.add_argument(
        "--day", type=float, nargs="?", const=24.0, metavar="HOURS", help="a day in lock-step"
    )
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--seen", action="store_true", help="count what the daemon met")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.day is not None:
        return _live(options.day)
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if options.seed is not None:
        seeds = range(options.seed, options.seed + 1)
    failed, began = 0, time.monotonic()
    seen: Counter[str] = Counter()
    for seed in seeds:
        report = run_seed(seed)
        if report.failure or len(seeds) == 1:
            print(report.as_text(), flush=True)
        seen += report.seen
        failed += bool(report.failure)
        if report.failure and not options.keep_going:
            break
    if options.seen:
        print("\n".join(f"{count:9} {what}" for what, count in sorted(seen.items())))
    print(f"{len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


def _live(hours: float) -> int:
    seen, out = [], sys.stdout  # the daemon's own is caught
    for hour in day.live(hours):
        seen.append(hour)
        print(
            f"hour {hour.hour:2}: {hour.memory_mb:.1f} MB, {hour.descriptors} descriptors, "
            f"{hour.wall_s:.0f} s",
            file=out,
            flush=True,
        )
    growth_mb = day.growth_mb(seen)
    opened = day.opened(seen)
    print(f"memory: {growth_mb:+.2f} MB an hour once settled; {opened} descriptors more at the end")
    return 1 if growth_mb >= MOST_MB or opened > 0 else 0


sys.exit(main())
