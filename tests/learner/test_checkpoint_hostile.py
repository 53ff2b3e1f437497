"""Checkpoints that are signed as they should be, and hold what no learner wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from rvsense.learner.keeping import Keeper
from tests.learner.conftest import SMALL, small_teacher, small_trainer, toy_pair


def begin(root: Path) -> tuple[Keeper, list[Any]]:
    """A keeper of a new trainer, and what it says."""
    said: list[Any] = []
    trainer = small_trainer(SMALL, small_teacher())
    for i in range(3):
        trainer.ingest(toy_pair(i))
    return Keeper(trainer, root, "0" * 64, said.append), said


def change(root: Path, **changes: Any) -> Path:
    """Change the newest manifest, and make its digest right again."""
    path = checkpoint.numbered(root)[-1]
    values = json.loads((path / checkpoint.MANIFEST).read_text()) | changes
    values["sha256"] = checkpoint._own_digest(values)
    (path / checkpoint.MANIFEST).write_text(json.dumps(values, sort_keys=True))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": "none"},
        {"chunks": 7},
        {"chunks": {"pool": "x"}},
        {"chunks": {"pool": [7]}},
        {"chunks": {"pool": [".."]}},
        {"chunks": {"pool": ["\0" * 64]}},
        {"values": 7},
        {"values": []},
    ],
)
def test_a_manifest_of_another_form_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A learner begins anew, and its next checkpoints are saved and loaded."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    path = change(tmp_path, **changes)
    with pytest.raises(ModelError, match=str(path)):
        checkpoint.load(path, keeper.fingerprint())
    keeper, _ = begin(tmp_path)
    assert keeper.restore() is None
    newest = checkpoint.numbered(tmp_path)[-1]
    assert newest != path
    assert checkpoint.load(newest, keeper.fingerprint()).path == newest


@pytest.mark.parametrize("count", [None, "7", 7.5, -1, True, 2**63, [7]])
@pytest.mark.parametrize(
    "place", ["counters.pairs", "counters.step", "batch.halvings", "published"]
)
def test_a_count_that_is_none_is_refused(tmp_path: Path, place: str, count: Any) -> None:
    """It would come to light at the next pair, and end the learner at every start."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    values = checkpoint.load(checkpoint.numbered(tmp_path)[-1], keeper.fingerprint()).values
    part, _, name = place.partition(".")
    odd = values[part] | {name: count} if name else [count, 1]
    path = change(tmp_path, values=values | {part: odd})
    keeper, said = begin(tmp_path)
    assert keeper.restore() is None
    assert keeper.refused == 1
    assert any(str(path) in str(message) for message in said)
    keeper._trainer.ingest(toy_pair(3))


@pytest.mark.parametrize("part", ["counters", "batch"])
@pytest.mark.parametrize("odd", [None, 7, "x", [7]])
def test_counts_that_are_no_map_are_refused(tmp_path: Path, part: str, odd: Any) -> None:
    """The learner begins anew."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    values = checkpoint.load(checkpoint.numbered(tmp_path)[-1], keeper.fingerprint()).values
    change(tmp_path, values=values | {part: odd})
    keeper, _ = begin(tmp_path)
    assert keeper.restore() is None
    assert keeper.refused == 1


def test_halvings_beyond_all_batches_are_no_endless_loop(tmp_path: Path) -> None:
    """As many as the batch has room for are kept."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    values = checkpoint.load(checkpoint.numbered(tmp_path)[-1], keeper.fingerprint()).values
    change(tmp_path, values=values | {"batch": values["batch"] | {"halvings": 2**62}})
    keeper, _ = begin(tmp_path)
    assert keeper.restore() == (1, 1)
    assert keeper._trainer.batch_size.now == 2


def test_a_manifest_without_end_is_refused(tmp_path: Path) -> None:
    """Nested deeper than it can be read, or signed."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    path = checkpoint.numbered(tmp_path)[-1]
    for levels in (100_000, 900):
        text = (path / checkpoint.MANIFEST).read_text().rstrip("}")
        (path / checkpoint.MANIFEST).write_text(
            text + ', "x": ' + "[" * levels + "]" * levels + "}"
        )
        with pytest.raises(ModelError, match=str(path)):
            checkpoint.load(path, keeper.fingerprint())


@pytest.mark.parametrize("before", [2**70, ["bfloat16"], "x" * 10_000])
def test_a_precision_that_is_none_is_told_of(tmp_path: Path, before: Any) -> None:
    """And what was saved is continued all the same."""
    keeper, _ = begin(tmp_path)
    keeper.save((1, 1))
    path = checkpoint.numbered(tmp_path)[-1]
    values = json.loads((path / checkpoint.MANIFEST).read_text())["values"]
    change(tmp_path, values=values | {"precision": before})
    keeper, said = begin(tmp_path)
    assert keeper.restore() == (1, 1)
    assert len(said) == 1
    assert len(said[0][0]) < 500


def test_a_folder_with_a_number_of_another_script_is_none(tmp_path: Path) -> None:
    """It is neither read nor removed, and no end of the learner."""
    for name in ("²", "١", "9" * 40, "x"):
        (tmp_path / f"{checkpoint.PREFIX}{name}").mkdir()
    assert checkpoint.numbered(tmp_path) == []
    keeper, _ = begin(tmp_path)
    assert keeper.restore() is None
