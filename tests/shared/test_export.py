"""Exports answer as the model does, without rvsense; a file that does not is not kept."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rvsense import cli
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.errors import ModelError, RvsenseError, UsageError
from rvsense.frames import CLASSES
from rvsense.head import HeadFit
from rvsense.models import export as module
from rvsense.models import program
from rvsense.models.export import TOLERANCE, difference, export
from rvsense.models.program import Program
from rvsense.models.recipe import Recipe
from rvsense.published import PublishedModel, publish

MakeModel = Callable[..., PublishedModel]


def uncertain_head(features: int = 32) -> HeadFit:
    """One that uses every part of a head."""
    draw = torch.Generator().manual_seed(5)
    known = torch.linalg.qr(torch.randn(features, 3, generator=draw))[0].T.contiguous()
    return HeadFit(
        weight=torch.randn(4, features, generator=draw),
        bias=torch.randn(4, generator=draw),
        mean=0.1 * torch.randn(features, generator=draw),
        std=1 + torch.rand(features, generator=draw),
        temperature=1.7,
        accuracy=0.9,
        ece=0.05,
        labels={"car": 3, "empty": 5},
        known=known,
        doubt=0.2,
    )


@pytest.mark.parametrize("form", ["safetensors", "onnx"])
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_an_export_answers_as_the_model(
    form: str, tmp_path: Path, make_model: MakeModel, make_heatmap: Any
) -> None:
    """Every output, on frames of all kinds and of the operator's own; classes are in the file."""
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    model = make_model(tmp_path / "models", 7, head=uncertain_head(), preset="edge")
    own = [make_heatmap(seed, 4) for seed in range(2)]
    out = tmp_path / f"model.{form}"
    report = export(model.path, out, frames=own)
    assert report["outputs"] == ["probabilities", "logits", "features", "ood_score"]
    assert report["max_difference"] <= TOLERANCE
    assert report["own_frames"] == 2
    assert report["bytes"] == out.stat().st_size
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]

    if form == "onnx":
        from rvsense.models.onnx_file import Session

        session = Session(out)
        facts, found = session.facts, session(np.stack(own))
    else:
        loaded = Program(str(out))
        facts = loaded.facts
        found = {k: v.numpy() for k, v in loaded(torch.from_numpy(np.stack(own))).items()}
    assert json.loads(facts["classes"]) == list(CLASSES)
    assert facts["sha256"] == model.sha256
    assert found["probabilities"].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_the_paper_encoder_is_exported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16's kinds of layers in its order, with its resampled input; narrow, for it is large."""

    def narrow(**_: Any) -> Any:
        layers = torchvision.models.vgg.make_layers([4, 4, "M", 8, "M", 8, "M", 8, "M", 8, "M"])
        classifier = nn.Sequential(
            nn.Linear(8 * 7 * 7, 16),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(16, 4096),
            nn.ReLU(True),
        )
        return SimpleNamespace(features=layers, classifier=classifier)

    monkeypatch.setattr(torchvision.models, "vgg16", narrow)
    spec = EncoderSpec("vgg16", ("magnitude",), key_dim=4096)
    model = publish(
        tmp_path / "models",
        weights=build_encoder(spec, seed=3).state_dict(),
        head=uncertain_head(4096),
        familiarity=None,
        manifest={"step": 1, "created_ns": 1, "encoder": spec.to_dict()},
    )
    report = export(model.path, tmp_path / "paper.safetensors")
    assert report["outputs"] == ["probabilities", "logits", "features"]
    assert report["max_difference"] <= TOLERANCE


def test_a_model_without_labels_gives_features(tmp_path: Path, make_model: MakeModel) -> None:
    """And says that it has no classes."""
    model = make_model(tmp_path / "models", favours=None)
    report = export(model.path, tmp_path / "bare", form="safetensors")
    assert report["outputs"] == ["features", "ood_score"]
    assert json.loads(Program(report["out"]).facts["classes"]) == []


def test_the_program_needs_no_rvsense(tmp_path: Path, make_model: MakeModel) -> None:
    """A copy of the one file, in an interpreter that cannot import rvsense, prints answers."""
    model = make_model(tmp_path / "models", 7, favours=2)
    export(model.path, tmp_path / "m.safetensors")
    heatmaps = np.zeros((2, 4, 128, 128, 2), np.float32)
    np.save(tmp_path / "heatmaps.npy", heatmaps)
    copy = tmp_path / "alone.py"
    copy.write_text(Path(program.__file__).read_text())
    blind = "import sys, runpy; sys.modules['rvsense'] = None; sys.argv = sys.argv[1:]; "
    blind += "runpy.run_path(sys.argv[0], run_name='__main__')"
    files = [str(copy), str(tmp_path / "m.safetensors"), str(tmp_path / "heatmaps.npy")]
    ran = subprocess.run(
        [sys.executable, "-P", "-c", blind, *files], capture_output=True, text=True, check=True
    )
    first, *answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert first == {"classes": list(CLASSES)}
    assert len(answers) == 2
    assert int(np.argmax(answers[0]["probabilities"])) == 2


def test_a_file_that_answers_otherwise_is_not_kept(
    tmp_path: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spoilt tensor is found by the comparison: no file, exit 1, and what was there stays."""
    model = make_model(tmp_path / "models", head=uncertain_head())
    write = module.write

    def spoil(whole: Any, path: Path, form: str) -> None:
        write(whole, path, form)
        tensors = load_file(path)
        tensors["head.bias"][0] += 2e-3
        facts = module.facts(whole) | {"program": json.dumps(Recipe(whole).steps)}
        save_file(tensors, path, facts)

    out = tmp_path / "m.safetensors"
    out.write_bytes(b"the one before")
    monkeypatch.setattr(module, "write", spoil)
    with pytest.raises(RvsenseError, match="not kept: its answers differ"):
        export(model.path, out, force=True)
    assert out.read_bytes() == b"the one before"
    out.unlink()
    asked = ["model", "export", model.id, str(out), "--state-dir", str(tmp_path)]
    assert cli.main(asked) == 1
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("No space left")])
def test_a_full_disk_is_said_and_leaves_nothing(
    error: Exception, tmp_path: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library writes."""
    monkeypatch.setattr(module, "save_file", Mock(side_effect=error))
    model = make_model(tmp_path / "models")
    with pytest.raises(RvsenseError, match="No space left"):
        export(model.path, tmp_path / "a.safetensors")
    assert [item.name for item in tmp_path.iterdir()] == ["models"]


def test_who_may_read_the_file_is_as_for_any_other(tmp_path: Path, make_model: MakeModel) -> None:
    """As the shell's umask says."""
    out = tmp_path / "a.safetensors"
    before = os.umask(0o027)
    try:
        export(make_model(tmp_path / "models").path, out)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_exported_is_said(tmp_path: Path, make_model: MakeModel) -> None:
    """No format, a file in the way, a folder that is not there, a damaged model."""
    model = make_model(tmp_path / "models")
    with pytest.raises(UsageError, match="--format"):
        export(model.path, tmp_path / "model.bin")
    (tmp_path / "there.onnx").write_bytes(b"")
    with pytest.raises(UsageError, match="--force"):
        export(model.path, tmp_path / "there.onnx")
    with pytest.raises(UsageError, match="cannot be written"):
        export(model.path, tmp_path / "nowhere" / "m.safetensors")
    (model.path / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="weights"):
        export(model.path, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def test_without_the_extra_onnx_says_how_to_get_it(
    tmp_path: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pip line, and the format that needs none; nothing is left behind."""
    model = make_model(tmp_path / "models")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'rvsense\[export\]'"):
        export(model.path, tmp_path / "m.onnx")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_differences_are_relative_above_one_and_see_what_is_not_finite() -> None:
    """What the tolerance is of."""
    ones = np.ones(3, np.float32)
    assert difference(ones + np.float32(1e-3), ones) == pytest.approx(1e-3, rel=1e-3)
    assert difference(1000 * ones + 1, 1000 * ones) == pytest.approx(1e-3)
    assert difference(np.array([np.nan, 1, 1], np.float32), ones) == float("inf")
    assert difference(ones[:2], ones) == float("inf")
    both = np.array([np.nan, 1], np.float32)
    assert difference(both, both) == 0
