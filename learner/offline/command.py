"""What `rvsense evaluate` prints and leaves: the run itself, then its pages and a short summary."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from rvsense import __version__
from rvsense.learner.offline.evaluate import Options, evaluate, write_pages
from rvsense.learner.offline.gather import Recording

SHOWN = (
    ("linear", "linear on frozen features"),
    ("spread", "the same, labels spread"),
    ("finetune", "fine-tuned"),
    ("supervised",) * 2,
)


def run(recordings: Sequence[Recording], options: Options) -> int:
    """Evaluate, write REPORT and print a table; returns the exit status.

    Raises:
        RvsenseError: as `evaluate`.
    """
    began = time.monotonic()
    try:
        found = evaluate(recordings, options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    minutes = (time.monotonic() - began) / 60
    page = write_pages(found, options.out, _environment(options, minutes))
    print(summary(found))
    print(f"\n{page}", file=sys.stderr)
    return 0


def summary(found: dict[str, Any]) -> str:
    """Accuracy by method and share of labels, one row each."""
    shares = list(found["linear"])
    head = " " * 28 + "".join(f"{100 * float(share):>12g} %" for share in shares)
    rows = [
        f"{name:<28}"
        + "".join(
            f"{found[key][share]['mean']:>8.3f} ±{found[key][share]['std']:.3f}" for share in shares
        )
        for key, name in SHOWN
    ]
    return "\n".join([f"accuracy by {found['split']}, share of labels", head, *rows])


def _environment(options: Options, minutes: float) -> dict[str, str]:
    command = (
        f"rvsense evaluate {options.name} --out {Path(options.out).name} "
        f"--preset {options.preset} --budget {options.budget} --split {options.split}"
    )
    return {
        "command": command if options.seeds is None else f"{command} --seeds {options.seeds}",
        "rvsense": __version__,
        "torch": torch.__version__,
        "minutes_of_this_run": f"{minutes:.1f}",
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
