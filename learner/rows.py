"""Fixed-size tables of tensors: the pool, the held-out ring and the labelled frames.

Memory is taken once. A row of the edge preset is 64 KiB of radar input (2 × 128 × 128 fp16)
and 2.5 KiB of key (1280 fp16): 4096 rows are 272 MiB, 16,384 are 1.06 GiB. The radar input is
kept, not the raw heatmap (512 KiB in float32) and not the image.

Rows are grouped in chunks that remember the digest under which they were last saved, so that
a checkpoint writes only what has changed since the one before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_ROWS = 16
"""About 1 MiB in the edge preset: few files, and little written in vain for one new row."""


@dataclass(frozen=True, slots=True)
class Column:
    """The shape and type of one row's part."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    late: bool = False
    """Not in what earlier versions saved; zeros then."""


class Rows:
    """`capacity` rows of named tensors, of which the first `fill` are in use."""

    def __init__(self, capacity: int, columns: Mapping[str, Column]) -> None:
        self.capacity = capacity
        self.fill = 0
        self.columns = {
            name: torch.zeros((capacity, *column.shape), dtype=column.dtype)
            for name, column in columns.items()
        }
        self._late = {name for name, column in columns.items() if column.late}
        self._digests: dict[int, str] = {}

    def put(self, slot: int, **values: Tensor | int | float) -> None:
        """Write one row; `slot` is at most `fill`, which grows when it is equal.

        What takes memory comes first, so that a row is never half another's.
        """
        if not 0 <= slot <= min(self.fill, self.capacity - 1):
            raise IndexError(f"slot {slot} of {self.fill} rows in use, {self.capacity} in all")
        ready = {
            name: torch.as_tensor(value, dtype=self.columns[name].dtype)
            for name, value in values.items()
        }
        for name, value in ready.items():
            self.columns[name][slot].copy_(value)
        self.fill = max(self.fill, slot + 1)
        self._digests.pop(slot // CHUNK_ROWS, None)

    def take(self, name: str, slots: Tensor | None = None) -> Tensor:
        """A copy of the given rows of a column, or a view of all rows in use."""
        used = self.columns[name][: self.fill]
        return used if slots is None else used[slots]

    def clear(self) -> None:
        """Forget all rows."""
        self.fill = 0
        self._digests.clear()

    def chunks(self) -> Iterator[tuple[int, str | None, dict[str, Tensor]]]:
        """(index, digest when unchanged since saved, tensors) of every chunk in use."""
        for index in range(-(-self.fill // CHUNK_ROWS)):
            rows = slice(index * CHUNK_ROWS, min((index + 1) * CHUNK_ROWS, self.fill))
            tensors = {name: column[rows] for name, column in self.columns.items()}
            yield index, self._digests.get(index), tensors

    def saved(self, index: int, digest: str) -> None:
        """Remember that a chunk is on disk under `digest`."""
        self._digests[index] = digest

    def load_chunk(self, index: int, digest: str, tensors: Mapping[str, Tensor]) -> None:
        """Put back a chunk, in order of index; rows beyond the capacity are left out."""
        start = index * CHUNK_ROWS
        count = min(len(next(iter(tensors.values()))), max(self.capacity - start, 0))
        if not count:
            return
        for name, column in self.columns.items():
            late = name in self._late and name not in tensors
            column[start : start + count] = 0 if late else tensors[name][:count]
        self.fill = max(self.fill, start + count)
        if count == len(next(iter(tensors.values()))):
            self._digests[index] = digest
