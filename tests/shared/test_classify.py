"""`rvsense classify`: chirps of one frame together, bad files named, the rest answered."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rvsense.classify import classify_files, group_chirps, read_heatmap
from rvsense.config import Serving
from rvsense.errors import FrameError, UsageError
from rvsense.head import HeadFit
from rvsense.published import PublishedModel
from rvsense.results import model_name

MakeHeatmap = Callable[..., NDArray[np.float32]]


def save(path: Path, values: NDArray[np.floating]) -> Path:
    """A npy file."""
    np.save(path, values)
    return path


def test_chirps_of_a_frame_are_one_group() -> None:
    """ROD2021's chirp files are joined by folder and frame, in chirp order; others stay alone."""
    a, b = Path("a"), Path("b")
    files = [a / "000001_0064.npy", a / "x.npy", a / "000001_0000.npy", b / "000001_0000.npy"]
    files += [a / "000002_0000.npy", a / "000001_0064.npy", a / "x.npy"]
    assert group_chirps(files) == [
        [a / "000001_0000.npy", a / "000001_0064.npy"],
        [a / "x.npy"],
        [b / "000001_0000.npy"],
        [a / "000002_0000.npy"],
    ]


def test_a_heatmap_is_read_from_either_form(tmp_path: Path, make_heatmap: MakeHeatmap) -> None:
    """One file per chirp, one file of all chirps, float64: the same heatmap."""
    values = make_heatmap(0, 2)
    chirps = [save(tmp_path / f"000000_{i:04d}.npy", values[i]) for i in range(2)]
    whole = save(tmp_path / "whole.npy", values)
    double = save(tmp_path / "double.npy", values.astype(np.float64))
    for group in (chirps, [whole], [double]):
        heatmap = read_heatmap(group)
        assert heatmap.dtype == np.float32
        assert np.array_equal(heatmap, values)


def test_bad_files_are_named(tmp_path: Path, make_heatmap: MakeHeatmap) -> None:
    """Every kind of unusable file gives a FrameError that names it."""
    values = make_heatmap(0, 1)
    text, empty, cut = (tmp_path / name for name in ("text.npy", "empty.npy", "cut.npy"))
    text.write_text("range,azimuth")
    empty.write_bytes(b"")
    cut.write_bytes(save(tmp_path / "fine.npy", values).read_bytes()[:-4])
    archive = tmp_path / "archive.npy"
    with archive.open("wb") as out:
        np.savez(out, values)
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([{"a": 1}]), allow_pickle=True)
    spoilt = values.copy()
    spoilt[0, 5, 5, 0] = np.nan
    cases = {
        tmp_path / "missing.npy": "unreadable",
        tmp_path: "unreadable",
        text: "unreadable",
        empty: "unreadable",
        cut: "unreadable",
        archive: "unreadable",
        pickled: "unreadable",
        save(tmp_path / "small.npy", values[:, :64]): "bad_shape",
        save(tmp_path / "ints.npy", np.zeros((128, 128, 2), np.int32)): "bad_shape",
        save(tmp_path / "none.npy", values[:0]): "bad_shape",
        save(tmp_path / "nan.npy", spoilt): "not_finite",
        save(tmp_path / "huge.npy", np.full((128, 128, 2), 1e300)): "not_finite",
    }
    for path, reason in cases.items():
        with pytest.raises(FrameError, match=str(path)) as refused:
            read_heatmap([path])
        assert refused.value.reason == reason
        assert "pickle" not in refused.value.detail.removeprefix(str(path))
    with pytest.raises(FrameError, match=r"floats of shape \(128, 128, 2\) or \(chirps, 128,"):
        read_heatmap([tmp_path / "small.npy"])


def test_good_files_are_answered_beside_bad_ones(
    tmp_path: Path,
    make_heatmap: MakeHeatmap,
    make_model: Callable[..., PublishedModel],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One JSON line per heatmap, one line on standard error per bad file, and exit status 1."""
    model = make_model(tmp_path / "models", favours=3, familiar=False)
    good = save(tmp_path / "good.npy", make_heatmap())
    bad = tmp_path / "bad.npy"
    bad.write_text("no heatmap")
    assert classify_files([bad, good], tmp_path, None) == 1
    out, err = capsys.readouterr()
    (line,) = map(json.loads, out.splitlines())
    assert line["files"] == [str(good)]
    assert (line["label"], line["radio_only"]) == ("car", True)
    assert line["model"] == model_name(model).as_map()
    assert line["abstain"] is None
    assert str(bad) in err
    assert classify_files([good], tmp_path, None) == 0


def test_answers_are_withheld_as_a_daemon_does(
    tmp_path: Path,
    make_heatmap: MakeHeatmap,
    make_model: Callable[..., PublishedModel],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Below the least confidence, or far from all that is known, no class is named."""
    flat = torch.zeros(make_model(tmp_path / "any").head().mean.shape)  # type: ignore[union-attr]
    undecided = HeadFit(torch.zeros(4, len(flat)), torch.zeros(4), flat, flat + 1)
    unsure = make_model(tmp_path / "models", head=undecided, familiar=False)
    strange = make_model(tmp_path / "models", 2, favours=3, scale=1e-3)
    good = save(tmp_path / "good.npy", make_heatmap())
    for model, reason in ((unsure, "low_confidence"), (strange, "out_of_distribution")):
        assert classify_files([good], tmp_path, model.path) == 0
        line = json.loads(capsys.readouterr().out)
        assert (line["label"], line["abstain"]) == (None, reason)
        assert set(line["probs"]) == {"empty", "pedestrian", "cyclist", "car"}
    assert line["ood_score"] > Serving().max_ood_score


def test_a_damaged_model_is_passed_over_and_named(
    tmp_path: Path,
    make_heatmap: MakeHeatmap,
    make_model: Callable[..., PublishedModel],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The newest model is damaged: the one before answers, and the user is told."""
    older = make_model(tmp_path / "models", 1)
    newer = make_model(tmp_path / "models", 2)
    (newer.path / "weights.safetensors").write_bytes(b"")
    good = save(tmp_path / "good.npy", make_heatmap())
    assert classify_files([good], tmp_path, None) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["model"]["id"] == older.id
    assert newer.id in err
    assert classify_files([good], tmp_path / "elsewhere", older.path) == 0


def test_no_model_is_a_usage_error(tmp_path: Path) -> None:
    """The error says where was looked and what to do."""
    with pytest.raises(UsageError, match=r"--replay.*--model"):
        classify_files([], tmp_path, None)
