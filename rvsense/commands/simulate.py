"""`rvsense simulate`: write a simulated dataset in ROD2021 layout."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    from rvsense.config import Simulate

    defaults = Simulate()
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    for name in ("sequences", "frames", "sites", "seed", "jobs"):
        default = getattr(defaults, name)
        doc = Simulate.__dataclass_fields__[name].metadata["doc"]
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{doc} ({default})"
        )
    parser.add_argument("--mixed", action="store_true", help="also scenes of several classes")
    parser.add_argument("--json", action="store_true", help="end with a report as one JSON line")


def run(options: argparse.Namespace) -> int:
    from rvsense.config import Simulate
    from rvsense.replay.simulate.run import simulate

    report = simulate(
        options.out,
        Simulate(
            sequences=options.sequences,
            frames=options.frames,
            sites=options.sites,
            seed=options.seed,
            mixed=options.mixed,
            jobs=options.jobs,
        ),
    )
    if options.json:
        print(json.dumps(asdict(report) | {"out": str(report.out)}))
        return 0
    print(
        f"{report.out}: {report.sequences} sequences ({report.test_sequences} for test), "
        f"{report.frames} frames, {report.frames_per_second:.0f} frames/s",
        file=sys.stderr,
    )
    return 0
