"""The paper preset on a GPU: a training step over its floor, and answers at 30 fps.

    python -m bench.gpu [--quick] [--json FILE]

The floor of a step is the longer of two times, both by what this device reaches in the same round:
its FLOPs at the rate of a large matrix product of the same type, and the bytes that it cannot help
moving at the rate of a large copy. Answers are those of the daemon's own inference thread, in its
lane and with its graph, to frames that come at 30 fps; sockets and a learner beside it, which is
another process on the same device, are not in this figure. Times are wall-clock, since the host
mostly waits. Without a CUDA device nothing is measured.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.sides import Goal, Row, options, report, rounded, rounds
from rvsense.config import Learning, Serving
from rvsense.daemon.inference import Answered, Inference, Waiting
from rvsense.device import serving_lane, settle
from rvsense.encoders import RadarEncoder
from rvsense.errors import ModelError
from rvsense.frames import CLASSES, RadarFrame
from rvsense.graphed import serving_pass
from rvsense.learner import publication
from rvsense.learner.presets import PRESETS, initial_encoder
from rvsense.learner.reproducible import be_reproducible
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer
from rvsense.link import Label
from rvsense.machine import RANDOM, PresetName
from rvsense.model import ServableModel

KEY_DIM = 4096
FPS = 30.0
PERIOD_MS = 1e3 / FPS
PRECISIONS = ("float32", "bfloat16")
SIDE, COPIED = 8192, 1 << 30
"""Of the square matrices, and bytes of the copy, that show what the device reaches."""
WEIGHT_PASSES = 11
"""How often a weight is read or written in a step, at the least.

Forward 1, backward 1 and the gradient 1; SGD with momentum reads three and writes two; the average
reads two and writes one.
"""
ACTIVATION_PASSES = 5
"""The same of a layer's output: written, read by the next layer and by its backward pass; and the
gradient of it, written and read."""
FUSED = (nn.ReLU, nn.Dropout, nn.Identity)
"""Layers that could be computed in the one before: their outputs need no memory of their own."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a training step has to do."""

    flop: int
    moved_bytes: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What the device reaches."""

    flop_per_s: float
    bytes_per_s: float

    def floor_ms(self, work: Work) -> float:
        """No step can be faster: arithmetic and memory at their full rates, side by side."""
        return 1e3 * max(work.flop / self.flop_per_s, work.moved_bytes / self.bytes_per_s)


def mean_s(act: Callable[[], object], times: int, device: torch.device) -> float:
    """Wall-clock seconds of `act`, to the end of what it has started; the first is not counted."""
    act()
    _finish(device)
    since = time.perf_counter()
    for _ in range(times):
        act()
    _finish(device)
    return (time.perf_counter() - since) / times


def rates(dtype: torch.dtype, device: torch.device, *, side: int, copied: int) -> Rates:
    """By a product of two (side, side) matrices of this type, and a copy of `copied` bytes."""
    a = torch.randn(side, side, device=device).to(dtype)
    out, here = torch.empty_like(a), torch.zeros(copied, dtype=torch.uint8, device=device)
    there = torch.empty_like(here)
    product_s = mean_s(lambda: torch.matmul(a, a, out=out), 10, device)
    copy_s = mean_s(lambda: there.copy_(here), 10, device)
    return Rates(2 * side**3 / product_s, 2 * copied / copy_s)


def filled_trainer(preset: PresetName, device: torch.device, learning: Learning) -> Trainer:
    """A trainer with random pairs and labels in its pool; it never sees an image."""
    kind = PRESETS[preset]
    teacher = Teacher(nn.Identity(), lambda image: image, KEY_DIM, "none", "none", device)
    encoder = initial_encoder(kind, KEY_DIM, seed=0, weights=RANDOM)
    trainer = Trainer(learning, kind, teacher, encoder, seed=0, device=device)
    generator = torch.Generator().manual_seed(0)
    for i in range(learning.pool_pairs):
        x = torch.randn(len(kind.channels), 128, 128, generator=generator).half()
        trainer.keep(x, torch.rand(KEY_DIM, generator=generator), "site", 0, i * 1_000_000_000)
    for i, heatmap in enumerate(noise(32)):
        trainer.add_label(Label("site", i, 0, CLASSES[i % len(CLASSES)], heatmap))
    return trainer


def noise(count: int) -> list[NDArray[np.float32]]:
    """Radar frames of four chirps."""
    rng = np.random.default_rng(0)
    return [(0.03 * rng.standard_normal((4, 128, 128, 2))).astype(np.float32) for _ in range(count)]


def work_of(trainer: Trainer) -> Work:
    """What one step of this trainer has to do; takes one, and one pass without an update."""
    with FlopCounterMode(display=False) as counter:
        trainer.train()
    encoder, batch = trainer.encoder, trainer.learning.batch
    weights = sum(p.nbytes for p in encoder.parameters())
    outputs = batch * output_numbers(encoder) * trainer.dtype.itemsize
    moved = WEIGHT_PASSES * weights + ACTIVATION_PASSES * outputs
    return Work(counter.get_total_flops(), moved)


@torch.no_grad()
def output_numbers(encoder: RadarEncoder) -> int:
    """How many numbers the layers give for one frame."""
    counts: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
        counts.append(output[0].numel())

    layers = [m for m in encoder.modules() if not list(m.children()) and not isinstance(m, FUSED)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    was_training = encoder.training
    x = torch.zeros(1, len(encoder.spec.channels), 128, 128)
    encoder.eval()(x.to(next(encoder.parameters()).device))
    encoder.train(was_training)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def step_row(trainer: Trainer, *, steps: int, count: int, side: int, copied: int) -> Row:
    """The whole step against its floor, in each of `count` rounds."""
    device, work = trainer.device, work_of(trainer)
    found = rates(trainer.dtype, device, side=side, copied=copied)
    print(
        f"{trainer.learning.precision}: {rounded(1e-9 * work.flop)} GFLOP and "
        f"{rounded(1e-9 * work.moved_bytes)} GB a step of {trainer.learning.batch}; this device: "
        f"{rounded(1e-12 * found.flop_per_s)} TFLOP/s, {rounded(1e-9 * found.bytes_per_s)} GB/s",
        flush=True,
    )
    ours, theirs = rounds(
        count,
        lambda: 1e3 * mean_s(trainer.train, steps, device),
        lambda: rates(trainer.dtype, device, side=side, copied=copied).floor_ms(work),
    )
    what = f"step of preset {trainer.preset.name} in {trainer.learning.precision}"
    return Row(what, ours, theirs, "ms", "floor of FLOPs and bytes")


def published(trainer: Trainer, folder: Path) -> ServableModel:
    """A model of this trainer as the daemon would load it.

    Raises:
        ModelError: when it lacks what makes an answer.
    """
    found, _ = publication.publish(trainer, folder, teacher_sha256="none", figures={})
    model = ServableModel(found, trainer.device)
    if model.head is None or model.familiarity is None:
        raise ModelError(f"{found.path}: a head and familiarity are needed")
    return model


def pass_row(model: ServableModel, device: torch.device, *, times: int, count: int) -> Row:
    """The pass of one frame as it is served, against the same launched layer by layer.

    Raises:
        SystemExit: when the two do not give the same.
    """
    x = model.encoder.prepare(torch.from_numpy(noise(1)[0])[None].to(device))
    with torch.inference_mode():
        eager = model.encoder.feature_map
        served = serving_pass(eager, x)
        if not torch.allclose(served(x), eager(x), rtol=1e-4, atol=1e-5):
            raise SystemExit("bench.gpu: the graph gives other feature maps than the layers")
        ours, theirs = rounds(
            count,
            lambda: 1e3 * mean_s(lambda: served(x), times, device),
            lambda: 1e3 * mean_s(lambda: eager(x), times, device),
        )
    return Row("pass of one frame", ours, theirs, "ms", "launched layer by layer")


def latencies_ms(
    model: ServableModel, lane: AbstractContextManager[object], *, fps: float, frames: int
) -> list[float]:
    """From handing over to answer, of frames that come at a steady rate; only of answered ones."""
    done: SimpleQueue[tuple[Answered, float]] = SimpleQueue()

    def deliver(batch: Sequence[Answered]) -> None:
        now_s = time.perf_counter()
        for item in batch:
            done.put((item, now_s))

    inference = Inference(Serving(), deliver, model, lane)
    inference.start()
    film, handed_s = noise(8), []
    began_s = time.perf_counter()
    for i in range(frames):
        time.sleep(max(began_s + i / fps - time.perf_counter(), 0.0))
        handed_s.append(time.perf_counter())
        stamp_ns = round(1e9 * i / fps)
        frame = RadarFrame(site="site", seq=i, stamp_ns=stamp_ns, heatmap=film[i % len(film)])
        inference.submit(Waiting(frame, received_ns=stamp_ns))
    inference.stop()
    items = [done.get() for _ in range(done.qsize())]
    return [
        1e3 * (now_s - handed_s[item.waiting.frame.seq])
        for item, now_s in items
        if item.model is model
    ]


def served_row(model: ServableModel, device: torch.device, *, frames: int, count: int) -> Row:
    """The 99th percentile of the latency at 30 fps against the period, in each round.

    Raises:
        SystemExit: when a frame was left without an answer.
    """
    worst = []
    for _ in range(count):
        found = latencies_ms(model, serving_lane(device), fps=FPS, frames=frames)
        print(
            f"{len(found)} of {frames} frames answered at {FPS:g} fps, "
            f"p50 {statistics.median(found):.2f} ms",
            flush=True,
        )
        if len(found) < frames:
            raise SystemExit(f"bench.gpu: {frames - len(found)} frames without an answer")
        worst.append(float(np.percentile(found, 99)))
    period = (PERIOD_MS,) * count
    return Row(
        "frame to answer, p99", tuple(worst), period, "ms", "frame period", Goal("at most", 1)
    )


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the work, the rates and the table."""
    chosen = options(__doc__, "bench.gpu").parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device: nothing measured\n", flush=True)
        report([], threads="1", path=chosen.json)
        return
    device = torch.device("cuda")
    settle(device)
    be_reproducible(warn_only=True)
    torch.set_num_threads(1)
    steps, count, frames = (5, 3, 90) if chosen.quick else (20, 7, 900)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}", flush=True)
    rows = []
    for precision in PRECISIONS:
        learning = Learning(
            preset="paper", device="cuda", precision=precision, pool_pairs=256, heldout_pairs=0
        )
        trainer = filled_trainer("paper", device, learning)
        rows.append(step_row(trainer, steps=steps, count=count, side=SIDE, copied=COPIED))
    with tempfile.TemporaryDirectory() as folder:
        model = published(trainer, Path(folder))
        rows.append(pass_row(model, device, times=50, count=count))
        rows.append(served_row(model, device, frames=frames, count=3))
    report(rows, threads="1", path=chosen.json)


if __name__ == "__main__":
    main()
