"""Checkpoints: whole or not there, checked before use, the one before as fallback."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import atomic
from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from rvsense.learner.rows import CHUNK_ROWS, Column, Rows
from tests.learner.damage import FailingDisk, damage_tensors


def table(count: int) -> Rows:
    """Rows 0 to count - 1, each holding its number."""
    rows = Rows(10 * CHUNK_ROWS, {"x": Column((3,), torch.float16)})
    for i in range(count):
        rows.put(i, x=torch.full((3,), float(i)))
    return rows


def write(root: Path, rows: Rows, number: int, keep: int = 2) -> Path:
    """A checkpoint of a table and one tensor."""
    return checkpoint.save(
        root,
        fingerprint="run",
        values={"number": number},
        tensors={"weights": torch.full((2,), float(number))},
        tables={"pool": rows},
        keep=keep,
    )


def read(path: Path) -> tuple[dict[str, Any], Rows]:
    """The values and the table of a checkpoint."""
    saved, rows = checkpoint.load(path, "run"), table(0)
    saved.fill("pool", rows)
    return saved.values, rows


def read_back(path: Path) -> int:
    """The number of a checkpoint that must be whole."""
    number: int = read(path)[0]["number"]
    return number


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    """Values, tensors and every row of a partly filled table survive the disk."""
    rows = table(CHUNK_ROWS + 5)
    path = write(tmp_path, rows, 1)
    values, back = read(path)
    assert values == {"number": 1}
    assert torch.equal(back.take("x"), rows.take("x"))
    assert checkpoint.load(path, "run").tensors["weights"].tolist() == [1, 1]


def test_an_older_table_leaves_no_newer_rows(tmp_path: Path) -> None:
    """Falling back to a checkpoint of fewer rows forgets those that came after it."""
    path, rows = write(tmp_path, table(5), 1), table(3 * CHUNK_ROWS)
    checkpoint.load(path, "run").fill("pool", rows)
    assert rows.fill == 5


def test_only_changed_chunks_are_written(tmp_path: Path) -> None:
    """The second checkpoint of a table with one new row writes one chunk and keeps the rest."""
    rows = table(3 * CHUNK_ROWS)
    write(tmp_path, rows, 1)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "chunks").iterdir()}
    rows.put(CHUNK_ROWS, x=torch.zeros(3))
    path = write(tmp_path, rows, 2)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "chunks").iterdir()}
    assert len(after.keys() - before.keys()) == 1
    assert all(after[name] == before[name] for name in before)
    assert torch.equal(read(path)[1].take("x"), rows.take("x"))


def test_unreferenced_chunks_go(tmp_path: Path) -> None:
    """A chunk is removed once no kept checkpoint names it, and not earlier."""
    rows = table(CHUNK_ROWS)
    for number in range(5):
        rows.put(0, x=torch.full((3,), 100.0 + number))
        path = write(tmp_path, rows, number, keep=2)
        for kept in checkpoint.numbered(tmp_path):
            read(kept)
    assert len(checkpoint.numbered(tmp_path)) == 2
    assert len(list((tmp_path / "chunks").iterdir())) == 2
    assert read(path)[0] == {"number": 4}


def damage_chunk(path: Path) -> None:
    """Cut a chunk short."""
    target = sorted((path.parent / "chunks").iterdir())[0]
    target.write_bytes(target.read_bytes()[:-7])


def edit(path: Path, old: str, new: str) -> None:
    """Change a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def damage_manifest(path: Path) -> None:
    """Tear the manifest."""
    (path / "manifest.json").write_text((path / "manifest.json").read_text()[:50])


@pytest.mark.parametrize(
    "damage",
    [
        damage_tensors,
        damage_chunk,
        damage_manifest,
        lambda path: (path / "tensors.safetensors").unlink(),
        lambda path: sorted((path.parent / "chunks").iterdir())[0].unlink(),
        lambda path: (path / "manifest.json").write_text("[]"),
        lambda path: edit(path / "manifest.json", '"number": 1', '"number": 7'),
    ],
)
def test_damage_is_found_and_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whatever is damaged, the error names a file below the checkpoint's root."""
    path = write(tmp_path, table(5), 1)
    damage(path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        checkpoint.load(path, "run")


def test_a_manifest_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no digest of its own."""
    path = write(tmp_path, table(5), 1)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert read(path)[0] == {"number": 1}


def test_a_damaged_chunk_is_not_taken_for_the_one_to_be_saved(tmp_path: Path) -> None:
    """The same rows once more, as when a replay is begun anew: what is announced can be loaded."""
    damage_chunk(write(tmp_path, table(5), 1))
    path = write(tmp_path, table(5), 2)
    assert torch.equal(read(path)[1].take("x"), table(5).take("x"))


def test_a_manifest_cannot_point_outside(tmp_path: Path) -> None:
    """A chunk name with a path in it is refused, not opened."""
    path = write(tmp_path, table(5), 1)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    name = sorted((tmp_path / "chunks").iterdir())[0].name
    text = json.dumps(manifest).replace(name, "../../etc/hostname")
    (path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="outside"):
        checkpoint.load(path, "run")


@pytest.mark.parametrize("call", ["fsync", "replace", "rename", "open"])
def test_disk_failing_at_any_call_keeps_the_previous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """L6: for every n, if the n-th call fails, a whole checkpoint loads; then one succeeds.

    It is the announced one, or a newer one that was whole when the failure came.
    """
    rows = table(3 * CHUNK_ROWS)
    write(tmp_path, rows, 0)
    contents = [rows.take("x").clone()]
    real = getattr(os, call)
    for n in range(200):
        rows.put(n % rows.fill, x=torch.full((3,), 500.0 + n))
        contents.append(rows.take("x").clone())
        monkeypatch.setattr(os, call, FailingDisk(real, n))
        try:
            path = write(tmp_path, rows, n + 1)
        except OSError:
            monkeypatch.setattr(os, call, real)
            values, back = read(checkpoint.numbered(tmp_path)[-1])
            assert torch.equal(back.take("x"), contents[values["number"]])
            continue
        monkeypatch.setattr(os, call, real)
        values, back = read(path)
        assert values["number"] == n + 1
        assert torch.equal(back.take("x"), rows.take("x"))
        return
    pytest.fail("never succeeded")


def test_a_chunk_is_synced_by_the_save_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the save that wrote it failed before that: a power cut would take its name."""
    rows = table(5)
    write(tmp_path, rows, 0)
    synced: list[set[str]] = []
    sync = atomic.sync_directory

    def note(path: Path) -> None:
        if path.name == "chunks":
            synced.append({item.name for item in path.iterdir()})
            if len(synced) == 1:
                raise OSError(28, "No space left on device")
        sync(path)

    rows.put(0, x=torch.full((3,), 50.0))
    monkeypatch.setattr(atomic, "sync_directory", note)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, rows, 1)
    path = write(tmp_path, rows, 2)
    named = checkpoint.load(path, "run").chunks["pool"]
    assert set(named) <= synced[-1]
    assert len(synced) == 2


def test_a_manifest_that_cannot_be_read_for_a_moment_keeps_its_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may name any of them; `python -m tests.faults learner`."""
    rows = table(5)
    first = write(tmp_path, rows, 0)
    text, failures = Path.read_text, iter([True])

    def failing(path: Path, *arguments: Any) -> str:
        if path.parent == first and next(failures, False):
            raise OSError(5, "Input/output error")
        return text(path, *arguments)

    rows.put(0, x=torch.full((3,), 50.0))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", failing)
        write(tmp_path, rows, 1)
    assert read_back(first) == 0
