"""CRUW's range and azimuth grids (CRUW devkit, mapping/generate_grids.py; AWR1843 set-up).

The heatmap's 128 rows are FFT bins 3 to 130 of a 134-point range transform; its 128 columns
are equal steps in sin(azimuth). Annotations were made on coarser grids of their own.
"""

import numpy as np
from numpy.typing import NDArray

SPEED_OF_LIGHT_M_S = 299_792_458.0
SAMPLE_RATE_HZ = 4e6
SLOPE_HZ_S = 21.0017e12
RANGE_FFT = 134
FIRST_RANGE_BIN = 3
CELLS = 128

RANGE_STEP_M = SAMPLE_RATE_HZ / RANGE_FFT * SPEED_OF_LIGHT_M_S / (2 * SLOPE_HZ_S)
"""0.2130549 m between rows."""


def range_grid_m() -> NDArray[np.float64]:
    """Centre of each heatmap row: (128,) metres, 0.639 to 27.697."""
    return np.arange(FIRST_RANGE_BIN, FIRST_RANGE_BIN + CELLS, dtype=np.float64) * RANGE_STEP_M


def azimuth_grid_rad() -> NDArray[np.float64]:
    """Centre of each heatmap column as the devkit labels it: (128,) radians, -π/2 to π/2.

    The transform itself puts sin θ = (j - 64)/64; the devkit says (2j - 127)/127, at most one
    cell away. Label with this one, simulate with that one.
    """
    return np.arcsin(np.linspace(-1.0, 1.0, CELLS))


def nearest_cell(range_m: float, azimuth_rad: float) -> tuple[int, int]:
    """The (row, column) of the heatmap nearest to a position, as the devkit's ra2idx."""
    row = int(np.abs(range_grid_m() - range_m).argmin())
    column = int(np.abs(azimuth_grid_rad() - azimuth_rad).argmin())
    return row, column
