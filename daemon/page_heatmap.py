"""A radar frame as the page draws it: 128 × 128 bytes of decibels. Pure.

Made only while somebody looks, and small: 16 KiB stand for the half megabyte of a frame.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvsense.frames import RadarFrame

STEP_DB = 0.5
LEAST = 1e-12
VIEWS = ("magnitude", "motion")


def picture(frame: RadarFrame, view: str) -> dict[str, Any]:
    """The frame's cells for JSON.

    Args:
        frame: with any number of chirps.
        view: `magnitude`, the mean over the chirps; or `motion`, √mean|xᵢ − x̄|² over them, where
            what stood still is gone.

    Returns:
        `cells`, base64 of (128 range, 128 azimuth) uint8, row 0 nearest; a cell holds
        `top_db` - (255 - value) * `step_db` decibels, and 0 that or less.
    """
    db = 20.0 * np.log10(np.maximum(_values(frame.heatmap, view), LEAST))
    top_db = float(db.max())
    cells = np.clip(np.rint(255 + (db - top_db) / STEP_DB), 0, 255).astype(np.uint8)
    return {
        "cells": base64.b64encode(cells.tobytes()).decode(),
        "top_db": round(top_db, 2),
        "step_db": STEP_DB,
    }


def _values(heatmap: NDArray[np.floating[Any]], view: str) -> NDArray[np.float64]:
    """(128, 128) linear magnitudes."""
    x = heatmap.astype(np.float64)  # a sender may be at the end of float32, and squares go beyond
    if view == "motion":
        moved = x - x.mean(axis=0)
        values: NDArray[np.float64] = np.sqrt(np.square(moved).sum(axis=-1).mean(axis=0))
    else:
        values = np.hypot(x[..., 0], x[..., 1]).mean(axis=0)
    return values
