"""Manifests that are signed as they should be, and say what no learner of ours would."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import current, published
from rvsense.current import Note
from rvsense.errors import ModelError
from rvsense.manifests import DEEPEST, MOST_BYTES
from rvsense.model import ServableModel
from rvsense.models.listing import entries
from tests.conftest import publish_small
from tests.fuzz.files.models import FILES, signed
from tests.fuzz.memory import resident_mb

CPU = torch.device("cpu")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a whole model."""
    return publish_small(tmp_path / "models").path


def sign(model: Path, **changes: Any) -> None:
    """Change entries of the manifest, and make its digests right again."""
    values = json.loads((model / published.MANIFEST).read_text()) | changes
    _, weights, head = [(model / name).read_bytes() for name in FILES]
    (model / published.MANIFEST).write_bytes(signed(values, weights, head))


def nested(levels: int) -> Any:
    """Lists within lists."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_a_manifest_of_ours_is_one(model: Path) -> None:
    """Signed anew with entries that nobody knows, it is opened and served."""
    sign(model, more=nested(DEEPEST - 1), teacher={"name": "toy", "weights": "random"})
    assert ServableModel(published.open_model(model), CPU).head is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"created_ns": 10**400},
        {"created_ns": 2**63},
        {"created_ns": 1.5},
        {"created_ns": True},
        {"step": -1},
        {"step": 2**63},
        {"step": "1"},
        {"encoder": ["residual"]},
        {"head": "good"},
        {"head": {"temperature": "hot"}},
        {"head": {"accuracy": 1e400}},
        {"head": {"labels": {"car": "many"}}},
        {"head": {"labels": 7}},
        {"head": {"more": 1}},
        {"familiarity": 7},
        {"files": {}},
        {"files": {"weights.safetensors": "0" * 64, "..": "0" * 64}},
        {"files": {"weights.safetensors": "0" * 64, "../../x": "0" * 64}},
        {"files": {"weights.safetensors": "0" * 64, "a\0b": "0" * 64}},
        {"teacher": "somebody"},
        {"teacher": {"name": "x" * 1000}},
        {"preset": ["edge"]},
        {"figures": 7},
        {"more": nested(DEEPEST)},
        {"more": nested(400)},
        {"more": "x" * MOST_BYTES},
    ],
)
def test_what_no_reader_could_take_is_a_damaged_model(model: Path, changes: dict[str, Any]) -> None:
    """Named, and shown as damaged by those who list models."""
    sign(model, **changes)
    with pytest.raises(ModelError, match=str(model)):
        published.open_model(model)
    (entry,) = entries(model.parents[1])
    assert entry["state"] == "damaged"


@pytest.mark.parametrize("width", [4000, 10**6, 2**62, "4", -4, 0, None])
def test_an_encoder_that_is_not_there_is_not_built(model: Path, width: Any) -> None:
    """However large it is declared to be: the weights say how large it can be."""
    encoder = json.loads((model / published.MANIFEST).read_text())["encoder"]
    sign(model, encoder=encoder | {"width": width})
    before_mb = resident_mb()
    with pytest.raises(ModelError, match="do not fit the declared encoder"):
        ServableModel(published.open_model(model), CPU)
    assert resident_mb() - before_mb < 100


def test_weights_of_a_strange_kind_are_no_weights(model: Path) -> None:
    """Numbers that torch cannot tell to be finite, or that are complex."""
    data = (model / published.WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    name = next(name for name, tensor in header.items() if len(tensor.get("shape", ())) == 4)
    for dtype, width in (("C64", 2), ("F8_E4M3", 0.25)):
        shape = [*header[name]["shape"][:3], int(header[name]["shape"][3] / width)]
        text = json.dumps(header | {name: header[name] | {"dtype": dtype, "shape": shape}}).encode()
        changed = struct.pack("<Q", len(text)) + text + data[8 + size :]
        (model / published.WEIGHTS).write_bytes(changed)
        sign(model)
        with pytest.raises(ModelError, match=str(model)):
            ServableModel(published.open_model(model), CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"since_ns": 1e400},
        {"since_ns": 2**63},
        {"model": "../../etc"},
        {"model": ".."},
        {"model": ["step-1"]},
        {"served": ["step-1", "/etc/passwd"]},
        {"served": 7},
    ],
)
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Names in it lead to folders of models and nowhere else."""
    values = {"model": "step-1", "since_ns": 1, "pinned": False, "served": []}
    (tmp_path / current.NOTE).write_text(json.dumps(values))
    assert current.read_note(tmp_path) == Note("step-1", 1)
    (tmp_path / current.NOTE).write_text(json.dumps(values | changes))
    assert current.read_note(tmp_path) == Note()
