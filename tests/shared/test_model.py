"""Published models: what is refused and how it is named; what a model answers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rvsense import current
from rvsense.errors import ModelError
from rvsense.frames import CLASSES
from rvsense.head import HeadFit
from rvsense.model import ServableModel
from rvsense.published import (
    FORMAT,
    HEAD,
    MANIFEST,
    WEIGHTS,
    PublishedModel,
    list_models,
    open_model,
    prune,
)

CPU = torch.device("cpu")
MakeModel = Callable[..., PublishedModel]
MakeHeatmap = Callable[..., NDArray[np.float32]]
FEATURES = 32


def numpy_head(head: HeadFit, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of the standardised linear layer, written out."""
    rows = []
    for x in features:
        z = (x - head.mean.double().numpy()) / head.std.double().numpy()
        logits = head.weight.double().numpy() @ z + head.bias.double().numpy()
        powers = np.exp((logits - logits.max()) / head.temperature)
        rows.append(powers / powers.sum())
    return np.array(rows)


def test_the_head_against_numpy() -> None:
    """Probabilities are those of the formula, temperature included."""
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(shape).astype(np.float32) for shape in ((4, 7), (4,), (7,))]
    std = rng.uniform(0.5, 2.0, 7).astype(np.float32)
    weight, bias, mean, spread = (torch.from_numpy(part) for part in [*parts, std])
    head = HeadFit(weight, bias, mean, spread, temperature=1.7)
    features = rng.standard_normal((9, 7)).astype(np.float32)
    got = head.probabilities(torch.from_numpy(features)).numpy()
    assert np.allclose(got, numpy_head(head, features.astype(np.float64)), atol=1e-6)


def test_a_model_answers_each_heatmap_in_order(
    tmp_path: Path, make_model: MakeModel, make_heatmap: MakeHeatmap
) -> None:
    """Frames with different numbers of chirps are answered in one call, each as if alone."""
    weight = torch.randn(4, FEATURES, generator=torch.Generator().manual_seed(0))
    head = HeadFit(weight, torch.zeros(4), torch.zeros(FEATURES), torch.ones(FEATURES))
    model = ServableModel(make_model(tmp_path, head=head), CPU)
    heatmaps = [make_heatmap(seed, chirps) for seed, chirps in enumerate([4, 1, 4, 2, 1])]
    together = model.classify(heatmaps)
    for heatmap, answer in zip(heatmaps, together, strict=True):
        (alone,) = model.classify([heatmap])
        assert answer.label == alone.label
        assert answer.probs == pytest.approx(alone.probs, abs=1e-5)
        assert answer.ood_score == pytest.approx(alone.ood_score, abs=1e-4)
        assert sum(answer.probs.values()) == pytest.approx(1.0)
        assert answer.label == max(answer.probs, key=lambda name: answer.probs[name])
    assert model.classify([]) == []


def test_float16_is_answered_like_float32(
    tmp_path: Path, make_model: MakeModel, make_heatmap: MakeHeatmap
) -> None:
    """A half-precision payload gives the answer of the same numbers in float32."""
    model = ServableModel(make_model(tmp_path), CPU)
    half = make_heatmap(0, 4).astype(np.float16)
    assert model.classify([half]) == model.classify([half.astype(np.float32)])


def test_without_labels_there_is_a_score_and_no_class(
    tmp_path: Path, make_model: MakeModel, make_heatmap: MakeHeatmap
) -> None:
    """A model without a head abstains with `no_labels` and still tells how odd the frame is."""
    (answer,) = ServableModel(make_model(tmp_path, favours=None), CPU).classify([make_heatmap()])
    assert (answer.label, answer.probs, answer.abstain) == (None, {}, "no_labels")
    assert answer.ood_score is not None


def test_huge_input_gets_a_finite_answer(tmp_path: Path, make_model: MakeModel) -> None:
    """Finite values whose squares are not: numbers come out, never NaN, and hurt no neighbour."""
    model = ServableModel(make_model(tmp_path), CPU)
    huge = np.full((4, 128, 128, 2), 3e38, np.float32)
    huge[1::2] *= -1
    ordinary = np.zeros_like(huge)
    odd, fine = model.classify([huge, ordinary])
    assert all(np.isfinite([*odd.probs.values(), odd.ood_score or 0.0]))
    assert odd.probs
    assert fine.label == "empty"


@pytest.mark.parametrize("name", [WEIGHTS, HEAD, MANIFEST])
def test_a_corrupt_byte_is_refused_and_named(
    name: str, tmp_path: Path, make_model: MakeModel
) -> None:
    """One changed byte anywhere in any file of a model is found; the error names the file."""
    path = make_model(tmp_path).path
    whole = (path / name).read_bytes()
    for where in np.linspace(0, len(whole) - 1, 60).astype(int).tolist():
        spoilt = bytearray(whole)
        spoilt[where] ^= 1
        (path / name).write_bytes(spoilt)
        with pytest.raises(ModelError, match=name):
            open_model(path)
    (path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=name):
        open_model(path)
    (path / name).unlink()
    with pytest.raises(ModelError, match=name):
        open_model(path)
    (path / name).write_bytes(whole)
    ServableModel(open_model(path), CPU)


def set_nan(tensors: dict[str, torch.Tensor]) -> None:
    """One weight that the features do not even use."""
    tensors["projection.weight"][0, 0] = float("nan")


def lose_one(tensors: dict[str, torch.Tensor]) -> None:
    """A tensor is missing."""
    del tensors["projection.weight"]


def widen_one(tensors: dict[str, torch.Tensor]) -> None:
    """A tensor of another shape."""
    tensors["projection.weight"] = torch.zeros(9, FEATURES)


def head_of(width: int = FEATURES, classes: int = 4, value: float = 0.0, t: float = 1.0) -> HeadFit:
    """A head that may not fit."""
    weight = torch.full((classes, width), value)
    return HeadFit(weight, torch.zeros(classes), torch.zeros(width), torch.ones(width), t)


UNFIT: dict[str, tuple[str, dict[str, Any]]] = {
    "weights with NaN": ("not finite", {"spoil": set_nan}),
    "a tensor missing": ("do not fit", {"spoil": lose_one}),
    "a tensor of another shape": ("do not fit", {"spoil": widen_one}),
    "head of another width": ("not fit together", {"head": head_of(width=9)}),
    "head of five classes": ("not fit together", {"head": head_of(classes=5)}),
    "head with NaN": ("not finite", {"head": head_of(value=float("nan"))}),
    "temperature of zero": ("not finite", {"head": head_of(t=0.0)}),
    "no encoder": ("do not fit", {"encoder": None}),
    "an unknown encoder": ("do not fit", {"encoder": {"name": "resnet", "channels": []}}),
    "a vast encoder": (
        "do not fit",
        {"encoder": {"name": "residual", "channels": ["motion"], "key_dim": 8, "width": -4}},
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_models_that_do_not_fit_are_refused(
    case: str, tmp_path: Path, make_model: MakeModel
) -> None:
    """Whole files with wrong contents: ModelError with the folder and the reason, nothing else."""
    words, changes = UNFIT[case]
    published = make_model(tmp_path, **changes)
    with pytest.raises(ModelError, match=words) as refused:
        ServableModel(open_model(published.path), CPU)
    assert str(published.path) in str(refused.value)


def test_a_model_of_another_format_is_refused_as_such(
    tmp_path: Path, make_model: MakeModel
) -> None:
    """Not as damaged: the message names both formats."""
    path = make_model(tmp_path).path
    text = (path / MANIFEST).read_text()
    assert f'"format": {FORMAT}' in text
    (path / MANIFEST).write_text(text.replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(ModelError, match="format 1, this version reads"):
        open_model(path)


def test_models_are_listed_by_age_and_pruned(tmp_path: Path, make_model: MakeModel) -> None:
    """The oldest go first, and never one that is spared."""
    ids = [make_model(tmp_path, step).id for step in (30, 5, 100, 70)]
    by_age = [ids[1], ids[0], ids[3], ids[2]]
    assert [path.name for path in list_models(tmp_path)] == by_age
    prune(tmp_path, keep=2, spare=frozenset([ids[1]]))
    assert [path.name for path in list_models(tmp_path)] == [by_age[0], by_age[2], by_age[3]]
    assert list_models(tmp_path / "none") == []


def test_the_current_model_is_the_one_that_served(tmp_path: Path, make_model: MakeModel) -> None:
    """What served last comes first, then the newest; a damaged note only loses the preference."""
    paths = [make_model(tmp_path / "models", step).path for step in (1, 2, 3)]
    assert current.candidates(tmp_path) == paths[::-1]
    current.note_serving(tmp_path, paths[1])
    assert current.candidates(tmp_path) == [paths[1], paths[2], paths[0]]
    shutil.rmtree(paths[1])
    assert current.candidates(tmp_path) == [paths[2], paths[0]]
    for text in ("", "[]", '{"model": 5}', "\xff"):
        (tmp_path / current.NOTE).write_text(text, encoding="latin-1")
        assert current.candidates(tmp_path) == [paths[2], paths[0]]
    assert current.candidates(tmp_path / "none") == []


def test_classes_are_in_the_contract_s_order() -> None:
    """The rows of every head on disk follow this order."""
    assert CLASSES == ("empty", "pedestrian", "cyclist", "car")
