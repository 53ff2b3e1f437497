"""Frames that two forms of a model are compared on: like a radar's, and as odd as they come."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rvsense.grids import CELLS

Heatmaps = NDArray[np.float32]
SEED = 20_260_102
NOISE = 0.03
"""About the level of a CRUW frame."""
CHIRPS = (4, 4, 4, 1, 2, 16)


@cache
def trial_frames() -> tuple[Heatmaps, ...]:
    """(chirps, 128, 128, 2) frames: noise, targets that stand and move, silence, saturation."""
    draw = np.random.default_rng(SEED)
    frames = [noise(draw, chirps) for chirps in CHIRPS]
    frames += [noise(draw, chirps) + targets(draw, chirps) for chirps in CHIRPS]
    frames += [np.zeros((4, CELLS, CELLS, 2)), 1000 * noise(draw, 4), 0.1 * noise(draw, 4)]
    return tuple(frame.astype(np.float32) for frame in frames)


def noise(draw: np.random.Generator, chirps: int) -> NDArray[np.float64]:
    """A frame without any target."""
    values: NDArray[np.float64] = NOISE * draw.standard_normal((chirps, CELLS, CELLS, 2))
    return values


def targets(draw: np.random.Generator, chirps: int) -> NDArray[np.float64]:
    """Three echoes as broad as the antennas make them, whose phase turns from chirp to chirp."""
    rows, columns = np.mgrid[:CELLS, :CELLS]
    total = np.zeros((chirps, CELLS, CELLS), complex)
    for _ in range(3):
        row, column = draw.uniform(10, CELLS - 10, 2)
        shape = np.exp(-(((rows - row) / 1.5) ** 2) - ((columns - column) / 7) ** 2)
        turn = np.exp(1j * draw.uniform(-1, 1) * np.arange(chirps))
        total += draw.uniform(0.3, 3) * turn[:, None, None] * shape
    return np.stack([total.real, total.imag], axis=-1)
