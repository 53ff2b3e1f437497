"""The samples of one radar frame to the heatmap of a frame message. Pure."""

import numpy as np
import numpy.typing as npt

from rvsense.replay.devices.board import Board
from rvsense.replay.dsp import RECEIVERS, cube_from_dca1000, range_azimuth, to_planes

Words = npt.NDArray[np.int16]


def heatmap(payload: bytes | bytearray | memoryview, board: Board) -> npt.NDArray[np.float32]:
    """(chirps, 128, 128, 2): real and imaginary parts, as CRUW stores them.

    Only the loops that are kept are looked at: four of 255 in CRUW. `payload` is a whole frame,
    `board.frame_bytes` of it, as a DCA1000 sends it on two lanes.
    """
    if len(payload) != board.frame_bytes:
        raise ValueError(f"{len(payload)} bytes of samples; {board.frame_bytes} are a frame")
    words: Words = np.frombuffer(payload, dtype="<i2")
    shape = (board.loops, board.transmitters, RECEIVERS * board.samples * 2)
    kept = words.reshape(shape)[list(board.keep_loops)][:, list(board.azimuth_transmitters)]
    if board.sample_order == "QI":
        kept = kept.reshape(-1, 2, 2)[:, ::-1]
    profile = board.profile
    cube = cube_from_dca1000(kept.reshape(-1), profile)
    if board.upside_down:
        cube = cube[:, ::-1]
    return to_planes(range_azimuth(cube, profile))
