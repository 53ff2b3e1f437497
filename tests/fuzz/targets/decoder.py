"""Every message becomes a valid frame or a FrameError with one of the known reasons."""

import argparse
import time
from typing import Any

import numpy as np

from rvsense import wire
from rvsense.errors import FrameError
from rvsense.frames import (
    OBJECT_CLASSES,
    AnyFrame,
    CameraFrame,
    RadarFrame,
)
from tests.chaos.report import Report, at_most, told
from tests.fuzz.drive import BrokenError, Case, drive
from tests.fuzz.frames import frame
from tests.fuzz.memory import used_mb

NAME = "decoder"
HELP = "rvsense.wire.decode: a valid frame or a known reason"
MESSAGES, QUICK = 1_000_000, 3_000

LONGEST_DETAIL = 400
WARM = 0.1
"""Share of the messages after which memory is looked at for the first time."""
GROWTH_MB = 32.0


def run(options: argparse.Namespace) -> Report:
    """Feed the decoder."""
    before_mb: list[float] = []

    def often(index: int) -> None:
        if not before_mb and index >= WARM * options.messages:
            before_mb.append(used_mb())

    began = time.monotonic()
    done = drive(options, NAME, frame, feed, often=often)
    rate = done.tried / (time.monotonic() - began)
    growth_mb = used_mb() - before_mb[0] if before_mb else 0.0
    return done.report(
        told("messages a second, made and decoded", round(rate)),
        at_most("memory grown since the first tenth", growth_mb, GROWTH_MB, " MB"),
    )


def feed(case: Case) -> str:
    """What the decoder made of it: a kind, or a reason."""
    try:
        found = wire.decode(case.parts)
    except FrameError as error:
        if error.reason not in wire.REASONS or len(error.detail) > LONGEST_DETAIL:
            raise BrokenError(f"{error.reason}: {len(error.detail)} characters") from error
        return f"rejected {error.reason}"
    check(found)
    return found.kind


def check(found: AnyFrame) -> None:
    """That a frame is one, by what docs/protocol.md says; and says the same once more encoded.

    Raises:
        BrokenError: naming what is wrong.
    """
    _all(
        {
            "site": wire.SITE.fullmatch(found.site) is not None,
            "numbers": type(found.seq) is int and type(found.stamp_ns) is int,
            "ranges": 0 <= found.seq < 2**63 and 0 <= found.epoch < 2**63,
            "stamp": -(2**63) < found.stamp_ns < 2**63,
            "source": all(_plain(key, value) for key, value in found.source.items()),
        }
    )
    if isinstance(found, RadarFrame):
        heatmap = found.heatmap
        fits = heatmap.shape[1:] == (128, 128, 2) and 1 <= len(heatmap) <= 16
        _all(
            {
                "shape": fits,
                "finite": bool(np.isfinite(heatmap).all()),
                "read-only": not heatmap.flags.writeable,
            }
        )
    elif isinstance(found, CameraFrame):
        _all({"codec": found.codec in ("jpeg", "rgb8"), "bytes": type(found.image) is bytes})
    else:
        for item in found.objects:
            finite = np.isfinite([item.range_m, item.azimuth_rad]).all()
            _all({"class": item.label in OBJECT_CLASSES, "position": bool(finite)})
        _all({"purpose": found.purpose in ("train", "score")})
    again = wire.encode(found)
    if wire.encode(wire.decode(again)) != again:
        raise BrokenError("it is not the same when it is sent on")


def _plain(key: Any, value: Any) -> bool:
    finite = not isinstance(value, float) or bool(np.isfinite(value))
    return type(key) is str and isinstance(value, str | int | float | bool | None) and finite


def _all(facts: dict[str, bool]) -> None:
    wrong = [name for name, holds in facts.items() if not holds]
    if wrong:
        raise BrokenError(f"no valid frame: {', '.join(wrong)}")
