"""What an experiment works on: every frame as radar input and teacher key, images long gone.

A sequence is encoded once and lies on disk as one file; `load` puts all of them in one table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from rvsense.atomic import write_file
from rvsense.disk import naming

UNLABELLED = -1


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of one or many sequences; every field has n rows."""

    inputs: Tensor
    """(n, C, 128, 128) float16 radar inputs."""
    keys: Tensor
    """(n, D) float16 teacher keys, raw."""
    labels: Tensor
    """(n,) int64 index into CLASSES; UNLABELLED without annotation or with several classes."""
    range_m: Tensor
    """(n,) float32 distance of the nearest object; NaN for an empty scene."""
    stamps_ns: Tensor
    """(n,) int64 capture times, comparable within a sequence."""
    sequences: Tensor
    """(n,) int64, one number per sequence."""
    sites: Tensor
    """(n,) int64, one number per site."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "Samples":
        """The given rows, in that order."""
        return Samples(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(parts: Iterable[Samples]) -> Samples:
    """All rows of all parts, one after the other."""
    columns = zip(*([getattr(p, f.name) for f in fields(Samples)] for p in parts), strict=True)
    return Samples(*(torch.cat(column) for column in columns))


def save(path: Path, samples: Samples) -> None:
    """Write one sequence's rows, whole or not at all.

    Raises:
        DiskError: the disk is full, or fails.
    """
    tensors = {field.name: getattr(samples, field.name).contiguous() for field in fields(samples)}
    with naming(path):
        write_file(path, to_bytes(tensors))


def load(paths: Sequence[Path], *, inputs: bool = True) -> Samples:
    """All rows of the given files; without `inputs`, nearly all of the memory, (n, 0, …)."""
    parts = (Samples(**load_file(path)) for path in paths)
    return join(part if inputs else _without_inputs(part) for part in parts)


def readable(path: Path) -> bool:
    """Whether `save` finished this file, and nothing cut it since."""
    try:
        with safe_open(path, "pt") as file:
            return set(file.keys()) == {field.name for field in fields(Samples)}
    except (OSError, SafetensorError):
        return False


def _without_inputs(samples: Samples) -> Samples:
    return replace(samples, inputs=samples.inputs[:, :0].clone())
