"""A real CRUW frame, where one is at hand: RVSENSE_CRUW_SAMPLE names its folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from rvsense.grids import CELLS, nearest_cell
from rvsense.replay.layouts import open_dataset

SAMPLE = os.environ.get("RVSENSE_CRUW_SAMPLE", "")
NEAR_CELLS = 2


@pytest.mark.skipif(not SAMPLE, reason="RVSENSE_CRUW_SAMPLE is not set")
def test_peaks_lie_where_the_annotation_says() -> None:
    """The nearest local maximum of each near object lies within two cells of its label."""
    (sequence,) = open_dataset(Path(SAMPLE)).sequences
    (frame_id,) = sequence.frame_ids
    heatmap = sequence.read_radar(frame_id).heatmap
    magnitude = np.hypot(heatmap[..., 0], heatmap[..., 1]).mean(axis=0)
    near = [item for item in sequence.objects(frame_id) or () if item.range_m < 10]
    assert {item.label for item in near} == {"pedestrian", "cyclist"}
    for item in near:
        row, column = nearest_cell(item.range_m, item.azimuth_rad)
        # A window twice as wide as allowed, so that the peak could lie elsewhere.
        rows = slice(max(0, row - 2 * NEAR_CELLS), min(CELLS, row + 2 * NEAR_CELLS + 1))
        columns = slice(max(0, column - 2 * NEAR_CELLS), min(CELLS, column + 2 * NEAR_CELLS + 1))
        window = magnitude[rows, columns]
        at = np.unravel_index(window.argmax(), window.shape)
        assert abs(rows.start + int(at[0]) - row) <= NEAR_CELLS
        assert abs(columns.start + int(at[1]) - column) <= NEAR_CELLS
        assert window.max() > 10 * np.median(magnitude)


@pytest.mark.skipif(not SAMPLE, reason="RVSENSE_CRUW_SAMPLE is not set")
def test_image_of_the_same_moment_is_whole() -> None:
    """The image has the radar frame's stamp, and its markers are in place."""
    (sequence,) = open_dataset(Path(SAMPLE)).sequences
    (frame_id,) = sequence.frame_ids
    assert sequence.read_camera(frame_id).stamp_ns == sequence.read_radar(frame_id).stamp_ns
