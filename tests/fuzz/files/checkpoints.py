"""Checkpoints of a learner: damaged, and whole but not what it made."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from rvsense.errors import ModelError
from rvsense.learner import checkpoint, state
from rvsense.learner.keeping import Keeper
from rvsense.learner.trainer import Trainer
from tests.fuzz import grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind, trap
from tests.fuzz.files.models import NUMBERS, changed_tensors
from tests.fuzz.mutate import mutated
from tests.learner.conftest import SMALL, small_teacher, small_trainer, toy_label, toy_pair

FOLDER = f"{checkpoint.PREFIX}00000001"


def kinds(work: Path) -> list[Kind]:
    """A checkpoint as it is read, and as a learner begins with it."""
    trainer = small_trainer(SMALL, small_teacher())
    for i in range(12):
        trainer.ingest(toy_pair(i))
    trainer.add_label(toy_label(1))
    keeper = Keeper(trainer, work / "made", "0" * 64, lambda _: None)
    keeper.save((1, 1))
    (made,) = checkpoint.numbered(work / "made")
    return [
        Kind("checkpoint", _maker(made, trap(work.parent)), _restorer(work / "here", made), 0.06)
    ]


def _maker(made: Path, bomb: bytes) -> Callable[[Random], Case]:
    manifest = (made / checkpoint.MANIFEST).read_bytes()
    tensors = (made / checkpoint.TENSORS).read_bytes()
    chunks = {path.name: path.read_bytes() for path in (made.parent / checkpoint.CHUNKS).iterdir()}
    name, chunk = max(chunks.items(), key=lambda item: len(item[1]))

    def make(rng: Random) -> Case:
        how = rng.choice(("bytes", "values", "values", "tensors", "tensors", "chunk", "names"))
        parts = [manifest, tensors, name.encode(), chunk]
        values: dict[str, Any] = json.loads(manifest)
        if how == "bytes":
            at = rng.choice((0, 1, 3))
            parts[at] = mutated(parts[at], rng)
            return Case(how, parts)
        if how == "values":
            place = values if rng.random() < 0.3 else values["values"]
            key = rng.choice(list(place))
            place[key] = rng.choice((*NUMBERS, grammar.text(rng), [1], _odd(place[key], rng)))
        elif how == "names":
            table = rng.choice([name for name, found in values["chunks"].items() if found])
            values["chunks"][table][0] = rng.choice((grammar.text(rng), "..", 7, "0" * 64))
        elif how == "tensors":
            parts[1] = bomb if rng.random() < 0.1 else changed_tensors(tensors, rng)
            values["files"] = {checkpoint.TENSORS: _digest(parts[1])}
        else:
            parts[3] = bomb if rng.random() < 0.1 else changed_tensors(chunk, rng)
            digest = _digest(parts[3])
            for table in values["chunks"].values():
                table[:] = [digest if found == name else found for found in table]
            parts[2] = digest.encode()
        parts[0] = _signed(values)
        return Case(how, parts)

    return make


def _odd(value: Any, rng: Random) -> Any:
    """A map with one of its entries exchanged."""
    if not isinstance(value, dict) or not value:
        return [value, value]
    return value | {rng.choice(list(value)): rng.choice(NUMBERS)}


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _signed(values: dict[str, Any]) -> bytes:
    values["sha256"] = checkpoint._own_digest(values)
    return json.dumps(values, sort_keys=True).encode()


def _restorer(root: Path, made: Path) -> Callable[[Case], str]:
    source = made.parent / checkpoint.CHUNKS

    def restore(case: Case) -> str:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(source, root / checkpoint.CHUNKS)
        (root / FOLDER).mkdir()
        manifest, tensors, name, chunk = case.parts
        (root / FOLDER / checkpoint.MANIFEST).write_bytes(manifest)
        (root / FOLDER / checkpoint.TENSORS).write_bytes(tensors)
        (root / checkpoint.CHUNKS / name.decode()).write_bytes(chunk)
        try:
            checkpoint.load(root / FOLDER, "another run")
        except ModelError as error:
            if str(root) not in str(error):
                raise BrokenError("an error that names no file") from error
        said: list[Any] = []
        trainer = small_trainer(SMALL, small_teacher())
        restored = Keeper(trainer, root, "0" * 64, said.append).restore()
        _sound(trainer)
        return "restored" if restored else "begun anew"

    return restore


def _sound(trainer: Trainer) -> None:
    """That what was restored can be learned with, as far as a step goes."""
    if not state.is_finite(state.tensors(trainer)):
        raise BrokenError("weights that are not finite")
    for i in range(20, 24):
        trainer.ingest(toy_pair(i))
    if trainer.ready:
        trainer.train()
    torch.manual_seed(0)
