"""What moves in a picture, as boxes: the difference to a background that follows slowly. Pure.

Boxes are fractions of the picture's WIDTH in both directions, so that a camera's angles follow
from them with one focal length.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLUMNS = 160
"""Pictures are looked at in this width: a person 15 m away is about ten columns tall."""

CONTRAST = 14.0
"""Grey levels between something and what was there before."""
FOLLOW = 0.02
"""Part of the difference that the background takes over with every picture."""
LEARN_PICTURES = 5
LEAST_ROWS = 5
GAP_COLUMNS = 4
MOST = 4


@dataclass(frozen=True, slots=True)
class Box:
    """One thing that moves; from the left and the top edge, in picture widths."""

    left: float
    right: float
    top: float
    bottom: float

    @property
    def centre(self) -> float:
        """Across the picture, 0 to 1."""
        return 0.5 * (self.left + self.right)

    @property
    def width(self) -> float:
        """In picture widths."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In picture widths."""
        return self.bottom - self.top


class Motion:
    """The background of one camera that stands still."""

    def __init__(self) -> None:
        self._background: npt.NDArray[np.float32] | None = None
        self._seen = 0

    def boxes(self, grey: npt.NDArray[np.uint8]) -> list[Box]:
        """What stands out of the background in a picture (rows, COLUMNS), the largest first."""
        picture = grey.astype(np.float32)
        # A lamp or the camera's own exposure changes all of it at once.
        picture -= np.median(picture)
        if self._background is None:
            self._background = picture
        difference = picture - self._background
        self._seen += 1
        self._background += max(FOLLOW, 1.0 / self._seen) * difference
        if self._seen <= LEARN_PICTURES:
            return []
        return _boxes(np.abs(difference) > CONTRAST)


def _boxes(stands_out: npt.NDArray[np.bool_]) -> list[Box]:
    busy = np.flatnonzero(stands_out.sum(axis=0) >= 2)
    if busy.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(busy) > GAP_COLUMNS)
    starts = busy[np.concatenate([[0], breaks + 1])]
    ends = busy[np.concatenate([breaks, [busy.size - 1]])] + 1
    found = []
    for start, end in zip(starts, ends, strict=True):
        rows = np.flatnonzero(stands_out[:, start:end].sum(axis=1) >= 2)
        if rows.size >= LEAST_ROWS and end - start >= 2:
            edges = np.array([start, end, rows[0], rows[-1] + 1]) / COLUMNS
            found.append(Box(*(float(edge) for edge in edges)))
    return sorted(found, key=lambda box: -box.width * box.height)[:MOST]
