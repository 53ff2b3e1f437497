"""`rvsense pair`: the pairing core alone, over a trace or a recording."""

import argparse
from pathlib import Path

NAMES = ("tolerance", "offset", "lateness", "idle_timeout")
"""Settings of `[pairing]`, in seconds, that are also options."""


def add_options(parser: argparse.ArgumentParser) -> None:
    from rvsense.config import Pairing

    parser.add_argument(
        "trace", metavar="TRACE", help="a recording, or JSON lines in arrival order; - = stdin"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML with a [pairing] table")
    for name in NAMES:
        doc = Pairing.__dataclass_fields__[f"{name}_s"].metadata["doc"]
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=_seconds, metavar="SECONDS", help=doc)


def run(options: argparse.Namespace) -> int:
    from rvsense import configfile
    from rvsense.daemon import pair_trace
    from rvsense.replay.recording.reader import is_recording
    from rvsense.replay.recording.trace import trace

    overrides = {
        f"pairing.{name}_s": getattr(options, name)
        for name in NAMES
        if getattr(options, name) is not None
    }
    settings = configfile.load(options.config, overrides).pairing
    recording = Path(options.trace)
    if is_recording(recording):
        return pair_trace.run(options.trace, trace(recording), settings)
    return pair_trace.main(options.trace, settings)


def _seconds(text: str) -> float | str:
    """A number, or `auto` where the setting has it: the configuration knows."""
    return text if text == "auto" else float(text)
