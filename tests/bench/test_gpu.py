"""The comparison on a GPU: its parts on a CPU, where they are the same, and all of it on CUDA."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench import gpu
from rvsense.answer import Answer
from rvsense.config import Learning
from rvsense.device import serving_lane
from rvsense.encoders import EncoderSpec, Vgg16Encoder

CPU = torch.device("cpu")
NO_CUDA = not torch.cuda.is_available()
SMALL = Learning(
    preset="edge", device="cpu", precision="float32", pool_pairs=160, heldout_pairs=0, batch=4
)


@pytest.mark.skipif(not NO_CUDA, reason="there is a CUDA device")
def test_without_a_device_nothing_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, leaves a report without rows, and is no failure."""
    gpu.main(["--quick", "--json", str(tmp_path / "gpu.json")])
    assert "no CUDA device: nothing measured" in capsys.readouterr().out
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"] == []


def test_the_floor_is_the_longer_of_two_times() -> None:
    """A step waits for its arithmetic or for its memory, whichever takes longer."""
    rates = gpu.Rates(flop_per_s=1e12, bytes_per_s=1e9)
    assert rates.floor_ms(gpu.Work(flop=10**10, moved_bytes=10**6)) == pytest.approx(10.0)
    assert rates.floor_ms(gpu.Work(flop=10**6, moved_bytes=10**7)) == pytest.approx(10.0)


def test_the_work_is_that_of_the_network() -> None:
    """VGG-16's 13 convolutions and five poolings give 15.1 million numbers a frame (1409.1556)."""
    with torch.device("meta"):  # shapes alone are counted
        encoder = Vgg16Encoder(EncoderSpec("vgg16", ("magnitude",), key_dim=4096))
    sides = {224: (64, 64), 112: (64, 128, 128), 56: (128, 256, 256, 256)}
    sides |= {28: (256, 512, 512, 512), 14: (512, 512, 512, 512), 7: (512,)}
    maps = sum(side**2 * sum(channels) for side, channels in sides.items())
    assert gpu.output_numbers(encoder) == maps + 2 * 4096


def test_the_same_comparison_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small step has a floor below it; its model's passes agree and every frame is answered."""
    trainer = gpu.filled_trainer("edge", CPU, SMALL)
    row = gpu.step_row(trainer, steps=1, count=2, side=64, copied=1 << 16)
    assert row.ratio > 1
    assert "GFLOP" in capsys.readouterr().out
    model = gpu.published(trainer, tmp_path)
    assert gpu.pass_row(model, CPU, times=1, count=2).ratio > 0
    found = gpu.latencies_ms(model, serving_lane(CPU), fps=50.0, frames=10)
    assert len(found) == 10


def test_a_frame_that_was_not_classified_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inference that failed says `no_model` in time; that is no answer, and ends the run."""
    model = gpu.published(gpu.filled_trainer("edge", CPU, SMALL), tmp_path)
    classify, bad = model.classify, gpu.noise(8)[2]

    def failing(heatmaps: list[NDArray[np.float32]]) -> list[Answer]:
        if any(np.array_equal(heatmap, bad) for heatmap in heatmaps):
            raise RuntimeError("no memory")
        return classify(heatmaps)

    monkeypatch.setattr(model, "classify", failing)
    with pytest.raises(SystemExit, match="1 frames without an answer"):
        gpu.served_row(model, CPU, frames=6, count=1)


@pytest.mark.gpu
@pytest.mark.skipif(NO_CUDA, reason="no CUDA device")
@pytest.mark.timeout(600)
def test_the_whole_of_it_on_cuda(tmp_path: Path) -> None:
    """The paper preset takes steps above its floor, and 30 fps are answered to the last frame."""
    gpu.main(["--quick", "--json", str(tmp_path / "gpu.json")])
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row["what"] for row in rows] == [
        "step of preset paper in float32",
        "step of preset paper in bfloat16",
        "pass of one frame",
        "frame to answer, p99",
    ]
    for row in rows[:2]:
        assert min(row["ours"]) > 0.9 * min(row["theirs"])
