"""Checkpoints on disk: whole or not there, checked before use, the one before as fallback (L6).

    <root>/checkpoint-<number>/tensors.safetensors
    <root>/checkpoint-<number>/manifest.json     values, digests, and the chunks of each table
    <root>/chunks/<sha256>                       rows of the tables, named by their content

Order of writing: chunks that no digest is known for, then the folder (aside, fsync, rename),
then removal of what no kept manifest names. So at every instant the newest whole folder and
the ones before it have all their chunks. No pickle anywhere.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from rvsense import atomic
from rvsense.errors import ModelError
from rvsense.learner.rows import Rows

FORMAT = 1
MANIFEST = "manifest.json"
TENSORS = "tensors.safetensors"
CHUNKS = "chunks"
PREFIX = "checkpoint-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that has been checked: `values` and `tensors` read, chunks known to be whole."""

    path: Path
    values: dict[str, Any]
    tensors: dict[str, Tensor]
    chunks: dict[str, list[str]]

    def fill(self, name: str, rows: Rows) -> None:
        """Put the table `name` back, in place of what is there.

        Raises:
            ModelError: naming the chunk, when it is damaged or does not fit.
        """
        rows.clear()
        for index, digest in enumerate(self.chunks.get(name, [])):
            path = self.path.parent / CHUNKS / digest
            data = _checked(path, digest)
            try:
                rows.load_chunk(index, digest, safetensors.torch.load(data))
            except (SafetensorError, KeyError, RuntimeError) as error:
                raise ModelError(f"{path}: does not fit the table {name} ({error})") from None


def save(
    root: Path,
    *,
    fingerprint: str,
    values: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    tables: Mapping[str, Rows],
    keep: int,
) -> Path:
    """Write a checkpoint and remove the oldest beyond `keep`; returns its folder.

    `fingerprint` says what the state belongs to; see `load`.

    Raises:
        OSError: from the disk; the checkpoints before are untouched.
    """
    chunks = {name: _save_chunks(root / CHUNKS, rows) for name, rows in tables.items()}

    def fill(folder: Path) -> None:
        safetensors.torch.save_file(dict(tensors), folder / TENSORS)
        manifest = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "values": dict(values),
            "files": {TENSORS: atomic.sha256_of(folder / TENSORS)},
            "chunks": chunks,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))

    known = numbered(root)
    number = 1 + (_number(known[-1]) if known else 0)
    path = root / f"{PREFIX}{number:08d}"
    try:
        atomic.write_folder(path, fill)
    except SafetensorError as error:  # how that library reports a full disk
        raise OSError(f"{path}: {error}") from None
    _prune(root, keep)
    return path


def load(path: Path, fingerprint: str) -> Checkpoint:
    """Read and check one checkpoint, its chunks included.

    Raises:
        OtherRunError: when it belongs to another preset, encoder or teacher.
        ModelError: naming what is missing or damaged.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise ModelError(f"{path}: format {manifest['format']}, this version reads {FORMAT}")
        data = _checked(path / TENSORS, manifest["files"][TENSORS])
        chunks: dict[str, list[str]] = manifest["chunks"]
        other = manifest["fingerprint"]
        if other != fingerprint:
            raise OtherRunError(f"{path}: made by {other}; this run is {fingerprint}")
        for digest in {digest for table in chunks.values() for digest in table}:
            _checked(path.parent / CHUNKS / digest, digest)
        return Checkpoint(path, manifest["values"], safetensors.torch.load(data), chunks)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"{path}: not a readable checkpoint ({error})") from None


class OtherRunError(ModelError):
    """A whole checkpoint, but of another preset, encoder or teacher."""


def numbered(root: Path) -> list[Path]:
    """Checkpoint folders, oldest first; none of them is checked."""
    found = [p for p in root.glob(f"{PREFIX}*") if p.name[len(PREFIX) :].isdigit()]
    return sorted(found, key=_number)


def set_aside(root: Path) -> Path:
    """Rename the whole root, so that another run's work is neither used nor lost."""
    for n in range(1, 10_000):
        aside = root.with_name(f"{root.name}-set-aside-{n}")
        if not aside.exists():
            root.rename(aside)
            return aside
    raise OSError(f"{root}: too many checkpoints set aside; remove some")


def _number(path: Path) -> int:
    return int(path.name[len(PREFIX) :])


def _checked(path: Path, digest: str) -> bytes:
    if Path(digest).name != digest:
        raise ModelError(f"{path}: a manifest names a file outside its folder")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: not readable ({error})") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(f"{path}: does not match its checksum")
    return data


def _save_chunks(folder: Path, rows: Rows) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    digests, wrote = [], False
    for index, known, tensors in rows.chunks():
        digest = known
        if digest is None or not (folder / digest).exists():
            data = safetensors.torch.save(dict(tensors))
            digest = hashlib.sha256(data).hexdigest()
            if not (folder / digest).exists():
                _write_synced(folder / digest, data)
                wrote = True
            rows.saved(index, digest)
        digests.append(digest)
    if wrote:
        atomic.sync_directory(folder)
    return digests


def _write_synced(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.writing")
    try:
        with aside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _prune(root: Path, keep: int) -> None:
    for path in numbered(root)[:-keep]:
        shutil.rmtree(path, ignore_errors=True)
    named: set[str] = set()
    for path in numbered(root):
        try:
            chunks = json.loads((path / MANIFEST).read_text())["chunks"]
        except (OSError, ValueError, KeyError):
            continue  # damaged: nothing can be restored from it, so its chunks may go
        named.update(digest for table in chunks.values() for digest in table)
    for item in (root / CHUNKS).iterdir():
        if item.name not in named:
            item.unlink(missing_ok=True)
