"""Draws the README's picture from a simulated data set: `python docs/pictures.py DATA OUT.png`."""

import io
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvsense.grids import azimuth_grid_rad, range_grid_m
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence

Heatmap = NDArray[np.floating[Any]]
CLASSES = ("pedestrian", "cyclist", "car")


def main() -> None:
    """One row a class: the image, the magnitude, and what moved within the frame."""
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    sequences = [item for item in open_dataset(data).sequences if item.split == "train"]
    figure, rows = plt.subplots(3, 3, figsize=(11, 7.6), layout="constrained")
    for row, label in zip(rows, CLASSES, strict=True):
        draw(row, *nearest(sequences, label))
    for axis, title in zip(rows[0], ("camera", "radar, magnitude", "radar, motion"), strict=True):
        axis.set_title(title, fontsize=11)
    figure.savefig(out, dpi=90)


def nearest(sequences: list[Sequence], label: str) -> tuple[Sequence, int]:
    """The frame with the most motion whose only object has this class, 5 to 11 m away."""
    found = []
    for sequence in sequences:
        frame = sequence.frame_ids[len(sequence.frame_ids) // 2]
        objects = sequence.objects(frame) or ()
        if len(objects) == 1 and objects[0].label == label and 5 < objects[0].range_m < 11:
            moved = float(motion(sequence.read_radar(frame, seq=0, epoch=0).heatmap).max())
            found.append((moved, sequence.name, sequence, frame))
    _, _, sequence, frame = max(found, key=lambda item: item[:2])
    return sequence, frame


def motion(heatmap: Heatmap) -> Heatmap:
    """√mean|xᵢ − x̄|² over the chirps of a frame: what stood still is gone."""
    chirps = heatmap[..., 0] + 1j * heatmap[..., 1]
    moved: Heatmap = np.sqrt((np.abs(chirps - chirps.mean(axis=0)) ** 2).mean(axis=0))
    return moved


def draw(row: Any, sequence: Sequence, frame: int) -> None:
    """The three views of one frame."""
    image = sequence.read_camera(frame, seq=0, epoch=0).image
    row[0].imshow(Image.open(io.BytesIO(image)))
    row[0].axis("off")
    heatmap = sequence.read_radar(frame, seq=0, epoch=0).heatmap
    magnitude = np.hypot(heatmap[0, ..., 0], heatmap[0, ..., 1])
    (item,) = sequence.objects(frame) or ()
    for axis, values in ((row[1], magnitude), (row[2], motion(heatmap))):
        db = 20 * np.log10(values + 1e-4)
        sine = np.sin(azimuth_grid_rad())
        axis.pcolormesh(sine, range_grid_m(), db, vmin=-38, vmax=-6, cmap="magma")
        axis.plot(np.sin(item.azimuth_rad), item.range_m, "o", mfc="none", mec="w", ms=16)
        degrees = np.array([-60, -30, 0, 30, 60])
        axis.set_xticks(np.sin(np.radians(degrees)), [f"{d}°" for d in degrees])
        axis.set_ylabel("range (m)", fontsize=8)
        axis.tick_params(labelsize=8)
    row[1].annotate(item.label, (0.03, 0.92), xycoords="axes fraction", color="w", fontsize=9)


main()
