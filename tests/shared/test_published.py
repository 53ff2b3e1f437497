"""Published models: heads through the disk, and who is listed first and who is pruned."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from rvsense import parcel, published
from rvsense.errors import ModelError
from rvsense.head import HeadFit
from rvsense.published import MANIFEST, PublishedModel, list_models, open_model, prune, publish

MakeModel = Callable[..., PublishedModel]
FACTS = {"step": 1, "created_ns": 7}


def test_age_is_when_a_model_was_made(tmp_path: Path, make_model: MakeModel) -> None:
    """A fresh run's low step is newer than a high one of the run before, and outlives it."""
    old = [make_model(tmp_path, step, created_ns=step).path for step in (800, 900)]
    fresh = [make_model(tmp_path, step, created_ns=1000 + step).path for step in (10, 30)]
    assert list_models(tmp_path) == old + fresh
    prune(tmp_path, keep=2)
    assert list_models(tmp_path) == fresh


def test_equal_times_are_ordered_by_name(tmp_path: Path, make_model: MakeModel) -> None:
    """The order never depends on how the disk lists its folders."""
    paths = [make_model(tmp_path, step, created_ns=5).path for step in (3, 1, 2)]
    assert list_models(tmp_path) == [paths[1], paths[2], paths[0]]


def test_a_damaged_model_has_the_age_of_its_folder(tmp_path: Path, make_model: MakeModel) -> None:
    """Whatever is wrong with a manifest, the model is listed, by the time of its folder."""
    before, after = (make_model(tmp_path, step, created_ns=100 * step).path for step in (1, 3))
    damaged = make_model(tmp_path, 2).path
    for text in ("", "[]", "{}", '{"created_ns": null}', '{"created_ns": Infinity}', "\xff"):
        (damaged / MANIFEST).write_text(text, encoding="latin-1")
        os.utime(damaged, ns=(200, 200))
        assert list_models(tmp_path) == [before, damaged, after]
    (damaged / MANIFEST).unlink()
    os.utime(damaged, ns=(200, 200))
    assert list_models(tmp_path) == [before, damaged, after]


def uncertain_head() -> HeadFit:
    """With every part that a head may have."""
    generator = torch.Generator().manual_seed(0)
    weight, known = (torch.randn(n, 6, generator=generator) for n in (4, 3))
    flat = torch.zeros(6)
    return HeadFit(weight, torch.ones(4), flat, flat + 2, known=known / 9, doubt=0.3, ece=0.1)


def test_a_head_comes_back_with_its_uncertainty(tmp_path: Path) -> None:
    """The same probabilities before and after the disk."""
    head = uncertain_head()
    model = publish(tmp_path, weights={}, head=head, familiarity=None, manifest=FACTS)
    back = open_model(model.path).head()
    assert back is not None
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(back.probabilities(features), head.probabilities(features))
    assert (back.doubt, back.ece) == (0.3, 0.1)


def test_a_model_of_format_2_answers_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head knows no uncertainty: a plain softmax."""
    monkeypatch.setattr(published, "FORMAT", 2)
    monkeypatch.setattr(published, "HEAD_FACTS", ("temperature", "accuracy", "ece", "labels"))
    head = replace(uncertain_head(), known=None, doubt=0.0, temperature=1.5)
    path = publish(tmp_path, weights={}, head=head, familiarity=None, manifest=FACTS).path
    monkeypatch.undo()
    model = open_model(path)
    assert model.manifest["format"] == 2
    back = model.head()
    assert back is not None
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(
        back.probabilities(features), torch.softmax(head.logits(features) / 1.5, dim=1)
    )


@pytest.mark.parametrize("created_ns", [None, "7", 7.0, True])
def test_a_model_says_when_it_was_made(
    created_ns: Any, tmp_path: Path, make_model: MakeModel
) -> None:
    """One that does not is damaged, however right its checksums: a daemon counts on it."""
    with pytest.raises(ModelError, match="created_ns"):
        make_model(tmp_path, created_ns=created_ns)
    (path,) = list_models(tmp_path)
    with pytest.raises(ModelError, match="created_ns"):
        open_model(path)


def test_a_full_disk_is_an_error_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library that writes tensors has an error of its own for it; nothing is left aside."""

    def full(*_: object) -> None:
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(published, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path, weights={}, head=None, familiarity=None, manifest=FACTS)
    assert list(tmp_path.iterdir()) == []


def test_the_same_model_made_again_is_the_one_on_disk(tmp_path: Path) -> None:
    """As after a restore: what is said of it, and offered, is what its folder holds."""
    made = [
        publish(
            tmp_path,
            weights={"a": torch.ones(2)},
            head=None,
            familiarity=None,
            manifest={"step": 1, "created_ns": created_ns},
        )
        for created_ns in (5, 6)
    ]
    assert made[0] == made[1] == open_model(made[0].path)


@pytest.mark.parametrize("offset", [-1, 2**63, 2**64 - 1])
def test_a_chunk_from_nowhere_is_of_no_model(
    offset: int, tmp_path: Path, make_model: MakeModel
) -> None:
    """An offset that no file can have is refused, whatever the system says of it."""
    model = make_model(tmp_path)
    with pytest.raises(ModelError):
        parcel.read_chunk(tmp_path, model.id, MANIFEST, offset)


@pytest.mark.parametrize(
    "id", ["step-٠٠٠٠٠٠٠١-0a1b2c3d", "step-1-0a1b2c3d", "../step-00000001-0a1b2c3d"]
)
def test_a_model_has_the_name_that_we_give_one(id: str) -> None:
    """In our digits, not in any that count as such."""
    values = {"id": id, "sha256": "0" * 64, "manifest_sha256": "0" * 64}
    with pytest.raises(ModelError):
        parcel.read_offer(values | {"files": {MANIFEST: 1, "weights.safetensors": 1}}, 1000)
