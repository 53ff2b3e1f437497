"""What a radar encoder costs and what it brings: the table behind the edge preset's choice.

    python -m bench.encoders [DATASET] [--seconds 120] [--widths 16,24,32]

Prints a line for each: parameters, milliseconds to answer one frame (input included), and to
train on one. With a dataset also the accuracy on unseen sequences after the same CPU time of
learning, which is the comparison that counts: a larger network takes fewer steps in it.
"""

import argparse
import time
from collections.abc import Callable

import torch

from bench.stream_probe import accuracy, labelled, learn, split
from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.learner.main import build_trainer
from rvsense.learner.presets import PRESETS
from rvsense.learner.trainer import Trainer
from rvsense.replay.layouts import open_dataset

BATCH = 64
CPU = torch.device("cpu")


def milliseconds(work: Callable[[], object], times: int) -> float:
    """The fastest of `times` runs: what else the machine does only adds."""
    work()
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1000 * best


def serving_ms(encoder: RadarEncoder) -> float:
    """One frame of four chirps to its features."""
    encoder.eval()
    frame = torch.randn(1, 4, 128, 128, 2)
    with torch.inference_mode():
        return milliseconds(lambda: encoder.features(encoder.prepare(frame)), 30)


def training_ms(encoder: RadarEncoder) -> float:
    """Forward and backward for one sample of a batch."""
    encoder.train()
    batch = torch.randn(BATCH, len(encoder.spec.channels), 128, 128)

    def step() -> None:
        encoder.zero_grad()
        encoder(batch).square().mean().backward()

    return milliseconds(step, 5) / BATCH


def learned(dataset: str, spec: EncoderSpec, seconds: float) -> tuple[float, int]:
    """Accuracy with 1 % of the labels after `seconds` of CPU time, and the steps taken."""
    learning = Learning(preset="edge", device="cpu")
    teacher = build_trainer(learning, seed=0).teacher
    encoder = build_encoder(spec, seed=0)
    trainer = Trainer(learning, PRESETS["edge"], teacher, encoder, seed=0, device=CPU)
    sequences = [s for s in open_dataset(dataset).sequences if s.split == "train"]
    known, unseen = split(sequences, seed=0)
    learn(trainer, known, seconds)
    data = labelled(trainer, known, 1), labelled(trainer, unseen, 4)
    return accuracy(trainer, *data, share=0.01, draws=5)[0], trainer.counters.step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="cost and worth of radar encoders")
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--widths", default="16,24,32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("width  parameters  serve ms  train ms/sample  accuracy at 1 %  steps")
    for width in (int(item) for item in options.widths.split(",")):
        spec = EncoderSpec("residual", PRESETS["edge"].channels, 1280, width)
        encoder = build_encoder(spec, seed=0)
        count = sum(p.numel() for p in encoder.parameters())
        row = f"{width:5d}  {count:10,d}  {serving_ms(encoder):8.2f}  {training_ms(encoder):15.2f}"
        if options.dataset:
            value, steps = learned(options.dataset, spec, options.seconds)
            row += f"  {value:15.3f}  {steps:5d}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
