"""Checkpoints on disk: whole or not there, checked before use, the one before as fallback (L6).

    <root>/checkpoint-<number>/tensors.safetensors
    <root>/checkpoint-<number>/manifest.json     values, digests, its own and chunks of tables
    <root>/chunks/<sha256>                       rows of the tables, named by their content

Order of writing: chunks that no digest is known for, then the folder (aside, fsync, rename),
then removal of what no kept manifest names. So at every instant the newest whole folder and
the ones before it have all their chunks. No pickle anywhere.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from rvsense import atomic, jsontext
from rvsense.errors import ModelError
from rvsense.learner.rows import Rows

FORMAT = 1
MANIFEST = "manifest.json"
TENSORS = "tensors.safetensors"
CHUNKS = "chunks"
PREFIX = "checkpoint-"
_NUMBER, _SHA256 = re.compile(r"[0-9]{1,18}"), re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that has been checked: `values` and `tensors` read, chunks as `load` was asked."""

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
    atomic.make_folder(root / CHUNKS)
    chunks = {name: _save_chunks(root / CHUNKS, rows) for name, rows in tables.items()}
    # Also where none is new: the one before may have failed between writing and this.
    atomic.sync_directory(root / CHUNKS)

    def fill(folder: Path) -> None:
        safetensors.torch.save_file(dict(tensors), folder / TENSORS)
        manifest = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "values": dict(values),
            "files": {TENSORS: atomic.sha256_of(folder / TENSORS)},
            "chunks": chunks,
        }
        manifest["sha256"] = _own_digest(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))

    known = numbered(root)
    number = 1 + (_number(known[-1]) if known else 0)
    path = root / f"{PREFIX}{number:08d}"
    try:
        atomic.write_folder(path, fill)
    except SafetensorError as error:  # how that library reports a full disk
        raise OSError(f"{path}: {error}") from None
    with suppress(OSError):  # it is whole; what is left over goes with the next one
        _prune(root, keep)
    return path


def load(path: Path, fingerprint: str, *, chunks: bool = True) -> Checkpoint:
    """Read and check one checkpoint; its `chunks` too, unless they are not wanted.

    Raises:
        OtherRunError: when it belongs to another preset, encoder or teacher.
        ModelError: naming what is missing or damaged.
    """
    try:
        manifest = _manifest(path)
        if manifest["format"] != FORMAT:
            raise ModelError(f"{path}: format {manifest['format']}, this version reads {FORMAT}")
        own = _own_digest(manifest)
        if manifest.get("sha256", own) != own:  # none before version 1.0
            raise ModelError(f"{path / MANIFEST}: does not match its checksum")
        data = _checked(path / TENSORS, manifest["files"][TENSORS])
        tables: dict[str, list[str]] = manifest["chunks"]
        other = manifest["fingerprint"]
        if other != fingerprint:
            raise OtherRunError(f"{path}: made by {other}; this run is {fingerprint}")
        for digest in {digest for table in tables.values() for digest in table if chunks}:
            _checked(path.parent / CHUNKS / digest, digest)
        return Checkpoint(path, manifest["values"], safetensors.torch.load(data), tables)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"{path}: not a readable checkpoint ({error})") from None
    except RecursionError:
        raise ModelError(f"{path}: its manifest is nested too deep") from None


class OtherRunError(ModelError):
    """A whole checkpoint, but of another preset, encoder or teacher."""


def numbered(root: Path) -> list[Path]:
    """Checkpoint folders, oldest first; none of them is checked."""
    found = [p for p in root.glob(f"{PREFIX}*") if _NUMBER.fullmatch(p.name[len(PREFIX) :])]
    return sorted(found, key=_number)


def set_aside(root: Path) -> Path:
    """Rename the whole root, so that another run's work is neither used nor lost."""
    for n in range(1, 10_000):
        aside = root.with_name(f"{root.name}-set-aside-{n}")
        if not aside.exists():
            root.rename(aside)
            return aside
    raise OSError(f"{root}: too many checkpoints set aside; remove some")


def _manifest(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises OSError, or ValueError where that is no manifest."""
    manifest = jsontext.parse((path / MANIFEST).read_text())
    if not isinstance(manifest, dict) or not isinstance(manifest.get("values"), dict):
        raise ValueError("no manifest of a checkpoint")
    chunks = manifest.get("chunks")
    lists = list(chunks.values()) if isinstance(chunks, dict) else [None]
    if not all(isinstance(table, list) and all(map(_is_digest, table)) for table in lists):
        raise ValueError("it names no chunks, or files outside its folder")
    return manifest


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _number(path: Path) -> int:
    return int(path.name[len(PREFIX) :])


def _own_digest(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


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


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return bool(_checked(path, digest))
    except ModelError:
        return False


def _save_chunks(folder: Path, rows: Rows) -> list[str]:
    digests = []
    for index, known, tensors in rows.chunks():
        digest = known
        if digest is None or not (folder / digest).exists():
            data = safetensors.torch.save(dict(tensors))
            digest = hashlib.sha256(data).hexdigest()
            # One of that name may have been refused because it is damaged.
            if not _is_whole(folder / digest, digest):
                _write_synced(folder / digest, data)
            rows.saved(index, digest)
        digests.append(digest)
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
        atomic.remove_folder(path)
    named: set[str] = set()
    for path in numbered(root):
        try:
            # A manifest that the disk does not give now may name any of the chunks: all stay.
            chunks = _manifest(path)["chunks"]
        except (FileNotFoundError, NotADirectoryError, ValueError):
            continue  # damaged: nothing can be restored from it, so its chunks may go
        named.update(digest for table in chunks.values() for digest in table)
    for item in (root / CHUNKS).iterdir():
        if item.name not in named:
            item.unlink(missing_ok=True)
