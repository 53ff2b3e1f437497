"""What each loader makes of a damaged state directory, against the whole one.

    models   ModelKeeper.restore, as a daemon begins
    exam     ExamStore.load, as a daemon begins
    learner  Keeper.restore, as a learner begins
    locks    state.holder, as whoever looks for a daemon

A check says what came of it, and what may never come of it: nothing where all is as it should be.
"""

import fcntl
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from structlog.testing import capture_logs

from rvsense import current, link, published, state
from rvsense.config import Learning, Serving
from rvsense.daemon.exam_store import ExamStore
from rvsense.daemon.models import ModelKeeper
from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from rvsense.learner import state as learned
from rvsense.learner.keeping import Keeper
from rvsense.learner.main import build_trainer
from rvsense.learner.teacher import tensors_sha256
from rvsense.model import ServableModel
from tests.chaos.damage import Damage
from tests.chaos.served import SMALL

LEARNING = Learning(**tomllib.loads(SMALL)["learning"])

REFUSED_FIRST = "refused by name, the one before it used"
SHARED = "refused by name, gone on without a table"
REFUSED_ALL = "refused by name, begun anew"
REFUSED_ASKED = "refused by name when asked for"
NOTHING = "nothing that is read"
NAMED = "named, done without"
GONE = "gone, and nothing to tell by"


@dataclass(slots=True)
class Verdict:
    """What came of one trial, for the count; and what is wrong with that."""

    outcome: str
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Whole:
    """What the undamaged state directory holds.

    models       id → digest of what its answers are made with
    first        the model that a start begins with
    note         serving.json
    exam         number → (class, digest of the heatmap)
    checkpoints  folder name → digests of what it puts back, newest first; "" = the very start
    chunks       folder name → table → the chunks that it names
    """

    models: Mapping[str, str]
    first: str
    note: current.Note
    exam: Mapping[int, tuple[str, str]]
    checkpoints: Mapping[str, Mapping[str, str]]
    chunks: Mapping[str, Mapping[str, list[str]]]


def survey(folder: Path, spare: Path) -> Whole:
    """Load everything once; `spare` becomes an empty folder."""
    models = {
        path.name: _model(ServableModel(published.open_model(path), torch.device("cpu")))
        for path in published.list_models(folder / "models")
    }
    root = folder / "checkpoints"
    names = [path.name for path in reversed(checkpoint.numbered(root))]
    checkpoints, chunks = {}, {}
    for name in names:
        chunks[name] = json.loads((root / name / checkpoint.MANIFEST).read_text())["chunks"]
        spare.mkdir()
        for part in (name, checkpoint.CHUNKS):
            (spare / part).symlink_to(root / part)
        checkpoints[name] = _restored(spare)[0]
        for part in (name, checkpoint.CHUNKS):
            (spare / part).unlink()
        spare.rmdir()
    checkpoints[""] = _restored(spare)[0]
    return Whole(
        models=models,
        first=current.candidates(folder)[0].name,
        note=current.read_note(folder),
        exam=_exam(folder),
        checkpoints=checkpoints,
        chunks=chunks,
    )


def check_models(whole: Whole, folder: Path, damage: Damage) -> Verdict:
    """A damaged model or note: as a daemon begins."""
    with capture_logs() as lines:
        keeper = ModelKeeper(folder, Serving(), torch.device("cpu"), list, lambda _: None)
        model = keeper.restore()
    hit = Path(damage.name).parts[1] if damage.name.startswith("models/") else ""
    verdict = Verdict(NOTHING)
    if model is None:
        verdict.wrong.append("no model serves")
    elif whole.models.get(model.published.id) != _model(model):
        verdict.wrong.append("a model that nobody published serves")
    elif hit == whole.first:
        verdict.outcome = REFUSED_FIRST
        if model.published.id == hit or not _says(lines, hit):
            verdict.wrong.append("not refused by name")
    elif hit:
        verdict.outcome = REFUSED_ASKED
        verdict.wrong += [] if model.published.id == whole.first else ["another model serves"]
        verdict.wrong += _asked_for(folder / "models" / hit)
    elif damage.kind == "gone":  # as before the first model
        verdict.outcome = GONE
    elif keeper.note != whole.note:
        verdict.outcome = NAMED
        verdict.wrong += [] if _says(lines, current.NOTE) else ["the note is lost without a word"]
    return verdict


def check_exam(whole: Whole, folder: Path, damage: Damage) -> Verdict:
    """A damaged frame of the exam costs itself alone."""
    with capture_logs() as lines:
        kept = _exam(folder)
    number = int(Path(damage.name).stem)
    expected = {key: item for key, item in whole.exam.items() if key != number}
    if kept != expected:
        return Verdict(NAMED, ["other frames are lost, or one is not what it was"])
    if damage.kind == "gone":
        return Verdict(GONE)
    return Verdict(NAMED, [] if _says(lines, Path(damage.name).name) else ["not named"])


def check_learner(whole: Whole, folder: Path, damage: Damage) -> Verdict:
    """A damaged checkpoint or chunk: as a learner begins."""
    found, said = _restored(folder / "checkpoints")
    newest, (name, lost, outcome) = next(iter(whole.chunks)), _way_back(whole, Path(damage.name))
    expected = dict(whole.checkpoints[name])
    expected |= {table: whole.checkpoints[""][table] for table in lost}
    verdict = Verdict(outcome)
    if found != expected:
        parts = [part for part, digest in found.items() if digest != expected[part]]
        verdict.wrong.append(f"not what was to come back: {', '.join(parts)}")
    if outcome != NOTHING and not _says(said, newest):
        verdict.wrong.append("not refused by name")
    if lost and not _says(said, str(lost)):
        verdict.wrong.append("the table that is lost is not named")
    return verdict


def _way_back(whole: Whole, damaged: Path) -> tuple[str, list[str], str]:
    """The checkpoint to go on from ("" = none), tables that are lost for it, and that in words."""
    newest = next(iter(whole.chunks))
    hit = {
        name: [table for table, chunks in tables.items() if damaged.name in chunks]
        for name, tables in whole.chunks.items()
        if damaged.parent.name != name
    }
    for name, lost in hit.items():
        if not lost:
            return name, [], NOTHING if name == newest else REFUSED_FIRST
    for name, lost in hit.items():
        return name, lost, SHARED
    return "", [], REFUSED_ALL


def check_locks(whole: Whole, folder: Path, damage: Damage) -> Verdict:
    """What stands in a lock that a daemon holds is only where it can be reached."""
    (folder / state.LOCK).touch()
    with (folder / state.LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        holder = state.holder(folder)
    with state.locked(folder):
        pass
    return Verdict(NOTHING, ["a held lock is held by nobody"] if holder is None else [])


def _model(model: ServableModel) -> str:
    """Of the files as they are now, not of what the manifest says of them."""
    folder = model.published.path
    tensors = dict(model.published.weights())
    if (folder / published.HEAD).exists():
        tensors |= published.read_tensors(folder / published.HEAD)
    return f"{model.published.sha256} {tensors_sha256(tensors)}"


def _asked_for(path: Path) -> list[str]:
    try:
        published.open_model(path)
    except ModelError as error:
        return [] if path.name in str(error) else ["refused, and not named"]
    return ["a damaged model is accepted when asked for"]


def _exam(folder: Path) -> dict[int, tuple[str, str]]:
    frames = ExamStore(folder / "exam").load()
    return {
        number: (label, hashlib.sha256(heatmap.tobytes()).hexdigest())
        for number, (heatmap, label) in frames.items()
    }


def _restored(root: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Digests of what a learner begins with, of all that is no table under ""; and what it says."""
    trainer = build_trainer(LEARNING, 0)
    said: list[list[Any]] = []
    begun = Keeper(trainer, root, trainer.teacher.sha256(), said.append).restore()
    tensors = learned.tensors(trainer)
    policy = {name: tensors.pop(name) for name in list(tensors) if name.startswith("policy.")}
    found = {
        table: tensors_sha256({column: rows.take(column) for column in rows.columns})
        for table, rows in learned.tables(trainer).items()
    }
    found["pool"] += tensors_sha256(policy)  # what it knows of each place
    facts = json.dumps([learned.values(trainer), begun], sort_keys=True)
    found[""] = tensors_sha256(tensors) + hashlib.sha256(facts.encode()).hexdigest()
    return found, [link.unpack(message)[1] for message in said]


def _says(lines: list[Any], name: str) -> bool:
    return any(name in str(value) for line in lines for value in line.values())
