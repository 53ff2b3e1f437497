"""The training step against the bare forward and backward pass of its encoder.

    python -m bench.step [--quick] [--json FILE]

Ours is the whole of `Trainer.train`: draw, augment, encode, contrast with the queue, update,
average, enqueue. Against it stands the same encoder on a batch that lies ready, forward, and
backward from a gradient that lies ready: same batch size, precision and threads. Times are CPU
time. Before the table: what the machine's matrix products reach, how near the encoder comes to
it, and where a step's time goes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.sides import Goal, Row, options, report, rounded, rounds
from rvsense.config import Learning
from rvsense.learner.lite0 import KEY_DIM
from rvsense.learner.presets import PRESETS, initial_encoder
from rvsense.learner.reproducible import be_reproducible
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer

CPU = torch.device("cpu")
EDGE = PRESETS["edge"]
SITES = 4
SIDE = 1024
"""Of the square matrices whose product shows the machine's ceiling."""
PRECISIONS = ("float32", "bfloat16")
GOAL = Goal("at most", 1.25)


def filled_trainer(learning: Learning, pairs: int = 768) -> Trainer:
    """A trainer with `pairs` random pairs of SITES sites in its pool; it never sees an image.

    By default as many as short keys need to be fitted.
    """
    learning = replace(learning, preset="edge", device="cpu", pool_pairs=pairs, heldout_pairs=0)
    teacher = Teacher(torch.nn.Identity(), lambda image: image, KEY_DIM, "none", "none", CPU)
    encoder = initial_encoder(EDGE, KEY_DIM, seed=0, weights="", short_keys=learning.short_keys)
    trainer = Trainer(learning, EDGE, teacher, encoder, seed=0, device=CPU)
    generator = torch.Generator().manual_seed(0)
    for i in range(pairs):
        x = torch.randn(len(EDGE.channels), 128, 128, generator=generator).half()
        key = torch.rand(KEY_DIM, generator=generator)
        trainer.keep(x, key, f"site{i % SITES}", 0, i * 1_000_000_000)
    return trainer


def bare_pass(trainer: Trainer) -> Callable[[], object]:
    """The forward and backward pass of the trainer's encoder on a batch that lies ready."""
    encoder = trainer.encoder
    generator = torch.Generator().manual_seed(0)
    n = trainer.learning.batch
    x = torch.randn(n, len(EDGE.channels), 128, 128, generator=generator)
    gradient = torch.randn(n, encoder.spec.key_dim, generator=generator)

    def run() -> None:
        for parameter in encoder.parameters():
            parameter.grad = None
        with torch.autocast("cpu", trainer.dtype, enabled=trainer.dtype != torch.float32):
            q = encoder(x)
        q.float().backward(gradient)

    return run


def mean_ms(act: Callable[[], object], times: int) -> float:
    """CPU time of `act`, milliseconds; the first call is not counted."""
    act()
    since = time.process_time()
    for _ in range(times):
        act()
    return 1e3 * (time.process_time() - since) / times


def compare(learning: Learning, *, steps: int, times: int) -> Row:
    """The whole step against the bare pass, `steps` of each in each of `times` rounds."""
    trainer = filled_trainer(learning)
    bare = bare_pass(trainer)
    ours, theirs = rounds(
        times, lambda: mean_ms(trainer.train, steps), lambda: mean_ms(bare, steps)
    )
    return Row(
        f"step in {learning.precision}", ours, theirs, "ms", "bare forward and backward", GOAL
    )


def product_rate(dtype: torch.dtype, times: int) -> float:
    """GFLOP/s of a square matrix product."""
    a = torch.randn(SIDE, SIDE).to(dtype)
    return 2e-6 * SIDE**3 / mean_ms(lambda: a @ a, times)


def ceilings(trainer: Trainer, times: int) -> str:
    """How fast this machine multiplies matrices, and how near to that the encoder comes."""
    bare = bare_pass(trainer)
    with FlopCounterMode(display=False) as counter:
        bare()
    gflop, bare_ms = 1e-9 * counter.get_total_flops(), mean_ms(bare, times)
    rate, most = 1e3 * gflop / bare_ms, product_rate(trainer.dtype, 10 * times)
    return (
        f"matrix product {rounded(most)} GFLOP/s; encoder, forward and backward: "
        f"{rounded(gflop)} GFLOP in {rounded(bare_ms)} ms, {rounded(rate)} GFLOP/s, "
        f"{100 * rate / most:.0f} % of that"
    )


def where_time_goes(act: Callable[[], object], rows: int) -> str:
    """The operators that take most CPU time, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(3):
            act()
    table: str = profiled.key_averages().table("self_cpu_time_total", row_limit=rows)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print ceilings, profile and table."""
    parser = options(__doc__, "bench.step")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    be_reproducible()
    steps, times = (3, 3) if chosen.quick else (10, 7)
    rows = []
    for dtype in PRECISIONS:
        learning = Learning(precision=dtype)
        rows.append(compare(learning, steps=steps, times=times))
        trainer = filled_trainer(learning)
        print(f"{dtype}: {ceilings(trainer, steps)}\n\n{where_time_goes(trainer.train, 20)}")
    report(rows, threads="1", path=chosen.json)


if __name__ == "__main__":
    main()
