"""What the order of a stream does to learning, and which pool undoes it.

    python -m bench.stream_order DATASET [--steps 720] [--seeds 3] [--vary rate]
    python -m bench.stream_order --samples FOLDER

One pass over the training side as a replay plays it, site after site and sequence after
sequence, through the learner's own Trainer; images are encoded beforehand. All arms take equally
many updates, spread evenly over the pass, at the stream's constant rate with averaged weights,
and differ in the pool that batches are drawn from alone:

- `in order`: a pool of one batch, so that every batch is the newest pairs: the control;
- `reservoir`, `min_redundancy`, `fifo`, each with room for 256, 1024 and 4096 pairs;
- `shuffled`: epochs over the whole table, its sites' backgrounds known from the start, at the
  same rate, and with the rate and the cool-down of `rvsense evaluate`;
- `untrained`: the encoder that all start from.

The shorter the sequences, the less the control is one: a batch of it then spans many of them.

`--vary` holds the default policy and changes one setting at a time instead. Figures are on
sequences that were held out: accuracies of a linear layer with shares of the labels and of 20
nearest neighbours. Mean ± deviation over seeds, each with its own split and initial weights.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.cached import (
    CPU,
    EDGE,
    LINEAR,
    Lab,
    Spreads,
    add_options,
    chosen,
    markdown,
    measure,
    pretrained_scores,
    samples_folder,
    scores,
    shown,
)
from rvsense.atomic import write_file
from rvsense.config import Learning
from rvsense.errors import DatasetError, RvsenseError
from rvsense.learner.offline.crew import Tell
from rvsense.learner.offline.plan import settings_for
from rvsense.learner.offline.samples import Samples
from rvsense.learner.presets import initial_encoder, settled
from rvsense.learner.schedule import Shape
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer

POLICIES = ("reservoir", "min_redundancy", "fifo")
POOLS = (256, 1024, 4096)
VARIED: dict[str, tuple[str, tuple[Any, ...]]] = {
    "reuse": ("steps_per_pair", (0.05, 0.1, 0.2, 0.5)),
    "exclusion": ("exclusion_s", (0.0, 2.0, 5.0)),
    "rate": ("learning_rate", (0.03, 0.1, 0.2, 0.4)),
    "ema": ("ema_samples", (0, 1600, 6400, 25600)),
    "pool": ("pool_pairs", (128, 256, 512, 1024, 2048, 4096)),
}
"""What `--vary` is told: the setting, and its values."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One pass in stream order. Without `steps`, `learning.steps_per_pair` says how many."""

    learning: Learning
    steps: int | None
    seed: int

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracies of the averaged encoder after the pass."""
        since = time.process_time()
        task = lab.task("sequence", self.seed)
        rows = stream_order(lab.data, task.pretrain)
        trainer = trainer_of(self.learning, lab.data.keys.shape[1], self.seed)
        share = 1.0 / len(rows)
        play(trainer, lab.data, rows, self.steps, after_pair=lambda: tell(share))
        return scores(
            trainer.average.encoder,
            lab.data,
            task,
            seed=self.seed,
            since=since,
            updates=trainer.counters.step,
        )


@dataclass(frozen=True, slots=True)
class Shuffled:
    """`learning.total_steps` updates over shuffled epochs of the same rows."""

    learning: Learning
    decay: Shape
    seed: int

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracies of the averaged encoder."""
        return pretrained_scores(
            lab.data,
            lab.task("sequence", self.seed),
            self.learning,
            replace(EDGE, decay=self.decay),
            seed=self.seed,
            tell=tell,
        )


Arm = Callable[[int], Stream | Shuffled]
"""A seed to its run."""


def stream_order(data: Samples, rows: Tensor) -> Tensor:
    """(n,) rows as a replay plays them: by site, then by sequence, then by time."""
    for column in (data.stamps_ns, data.sequences, data.sites):
        rows = rows[column[rows].argsort(stable=True)]
    return rows


def trainer_of(learning: Learning, key_dim: int, seed: int) -> Trainer:
    """The learner's own trainer, with a teacher that has nothing left to do."""
    teacher = Teacher(nn.Identity(), lambda image: image, key_dim, "encoded before", "none", CPU)
    encoder = initial_encoder(EDGE, key_dim, seed=seed, weights="")
    return Trainer(learning, EDGE, teacher, encoder, seed=seed, device=CPU)


def play(
    trainer: Trainer,
    data: Samples,
    rows: Tensor,
    steps: int | None,
    *,
    after_pair: Callable[[], None] = lambda: None,
) -> None:
    """One pass over the rows in their order, training all the while.

    Without `steps`, their number is the setting's `steps_per_pair` times the pairs that come
    once the pool is deep enough.

    Raises:
        DatasetError: when there are too few rows for the pool to become so.
    """
    learning = trainer.learning
    awaited = min(learning.min_pool_pairs, learning.pool_pairs)
    counted = len(rows) - awaited + 1
    if counted < 1:
        raise DatasetError(f"{len(rows)} pairs to learn from, training starts at {awaited}")
    wanted = round(learning.steps_per_pair * counted) if steps is None else steps
    for number, row in enumerate(rows.tolist()):
        site, sequence = str(int(data.sites[row])), int(data.sequences[row])
        trainer.keep(
            data.inputs[row], data.keys[row].float(), site, sequence, int(data.stamps_ns[row])
        )
        while trainer.counters.step < owed(number - awaited + 2, counted, wanted):
            trainer.train()
        after_pair()


def owed(pair: int, pairs: int, steps: int) -> int:
    """Updates that are due after the `pair`-th of `pairs` (from 1) when `steps` are due in all."""
    return max(pair, 0) * steps // pairs


def order_arms(learning: Learning, steps: int) -> dict[str, Arm]:
    """The main table: orders, policies and pool sizes at equal numbers of updates."""

    def streamed(**changes: Any) -> Arm:
        return lambda seed: Stream(replace(learning, **changes), steps, seed)

    def shuffled(how: Learning, count: int, decay: Shape) -> Arm:
        return lambda seed: Shuffled(settled(replace(how, total_steps=count), EDGE), decay, seed)

    pools = {
        f"{policy} {pool}": streamed(pool_policy=policy, pool_pairs=pool)
        for policy in POLICIES
        for pool in POOLS
    }
    return {
        "untrained": shuffled(learning, 0, "constant"),
        "in order": streamed(pool_policy="fifo", pool_pairs=learning.batch),
        **pools,
        "shuffled at the stream's rate": shuffled(learning, steps, "constant"),
        "shuffled at evaluate's rate": shuffled(settings_for("edge", ""), steps, "sqrt"),
    }


def varied_arms(learning: Learning, steps: int, what: str) -> dict[str, Arm]:
    """The default, and one setting of it changed at a time; `reuse` changes the updates."""
    name, values = VARIED[what]
    count = None if what == "reuse" else steps

    def arm(value: Any) -> Arm:
        return lambda seed: Stream(replace(learning, **{name: value}), count, seed)

    return {
        "default": lambda seed: Stream(learning, steps, seed),
        **{f"{name} {value:g}": arm(value) for value in values},
    }


def table(measured: dict[str, Spreads]) -> str:
    """The rows as Markdown."""
    head = ["arm", *(f"{100 * share:g} % labels" for share in LINEAR), "kNN", "updates", "CPU s"]
    rows = [
        [
            name,
            *(shown(found[figure]) for figure in (*LINEAR.values(), "knn")),
            *(f"{found[figure]['mean']:.0f}" for figure in ("updates", "cpu_s")),
        ]
        for name, found in measured.items()
    ]
    return markdown(head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; figures of every seed go to a JSON file in the cache."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.stream_order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, steps=720)
    parser.add_argument("--vary", choices=VARIED, help="one setting at a time instead")
    parser.add_argument("--set", default="{}", help="JSON map of [learning] settings of all arms")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    # No ring of held-out pairs: every arm is to see all of the training side.
    base = Learning(preset="edge", device="cpu", heldout_pairs=0)
    learning = settled(replace(base, **json.loads(options.set)), EDGE)
    if options.vary:
        arms = varied_arms(learning, options.steps, options.vary)
    else:
        arms = order_arms(learning, options.steps)
    try:
        arms = chosen(arms, options.only)
        rows = {name: [arm(seed) for seed in range(options.seeds)] for name, arm in arms.items()}
        measured = measure(rows, samples_folder(options), options)
    except RvsenseError as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    path = Path(options.cache) / f"stream-{options.vary or 'order'}.json"
    found = {"steps": options.steps, "settings": asdict(learning), "arms": measured}
    write_file(path, json.dumps(found, indent=1).encode())
    print(table(measured))


if __name__ == "__main__":
    main()
