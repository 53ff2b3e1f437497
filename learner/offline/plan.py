"""How much is done: the numbers of `--budget quick` and `full`, and of the paper's recipe. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rvsense.config import Learning
from rvsense.errors import UsageError
from rvsense.learner.recipe import PAPER, as_stated, steps_for

BUDGETS = ("quick", "full")
MAX_SEEDS = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the cost of an evaluation depends on, besides the data."""

    every: int
    """Each n-th frame of a sequence is used."""
    seeds: int
    """Each has its own split, initial weights, batches and draws of labels."""
    shares: tuple[float, ...]
    """Shares of the labels, of the training side."""
    draws: int
    """Draws of labels for a linear layer with less than all of them."""
    pretrain_steps: int
    sweep_steps: int
    """Of each point of the sweep over K: fewer, since there are many."""
    sweep: Mapping[int, tuple[int, ...]]
    """Batch size to the queue sizes K that it is tried with (Fig. 4)."""
    sweep_seeds: int
    batch: int
    supervised_epochs: int
    finetune_epochs: int
    supervised_rate: float
    finetune_rate: float
    weight_decay: float
    least_steps: int
    """Few labels make short epochs: supervision then takes more of them."""
    finetune_least_steps: int
    """The same for fine-tuning, which starts nearer to its end and soon overfits."""


QUICK = Plan(
    every=4,
    seeds=2,
    shares=(0.01, 0.1, 1.0),
    draws=5,
    pretrain_steps=500,
    sweep_steps=60,
    sweep=PAPER.queues,
    sweep_seeds=1,
    batch=64,
    supervised_epochs=10,
    finetune_epochs=5,
    supervised_rate=1e-3,
    finetune_rate=1e-3,
    weight_decay=0.05,
    least_steps=200,
    finetune_least_steps=50,
)
FULL = replace(
    QUICK,
    every=2,
    seeds=3,
    shares=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    draws=8,
    pretrain_steps=1500,
    sweep_steps=250,
    sweep_seeds=3,
    supervised_epochs=16,
    finetune_epochs=8,
    least_steps=300,
    finetune_least_steps=75,
)


def plan_for(preset: str, budget: str, pairs: int, seeds: int | None) -> Plan:
    """The numbers for a dataset of `pairs` pairs.

    With the paper preset, `full` is the paper's recipe: every frame, 400, 300 and 32 epochs.

    Raises:
        UsageError: for a budget that does not exist.
    """
    if budget not in BUDGETS:
        raise UsageError(f"--budget {budget}: only {' and '.join(BUDGETS)} exist")
    plan = QUICK if budget == "quick" else FULL
    if preset == "paper" and budget == "full":
        plan = replace(
            plan,
            every=1,
            pretrain_steps=steps_for(PAPER.pretrain_epochs, pairs, PAPER.batches[0]),
            sweep_steps=steps_for(PAPER.pretrain_epochs, pairs, PAPER.batches[0]),
            supervised_epochs=PAPER.supervised_epochs,
            finetune_epochs=PAPER.finetune_epochs,
            supervised_rate=PAPER.downstream_learning_rate,
            finetune_rate=PAPER.downstream_learning_rate,
            weight_decay=PAPER.weight_decay,
            least_steps=1,
            finetune_least_steps=1,
        )
    if seeds is None:
        return plan
    if not 1 <= seeds <= MAX_SEEDS:
        raise UsageError(f"--seeds {seeds}: 1 to {MAX_SEEDS}")
    return replace(plan, seeds=seeds, sweep_seeds=min(seeds, plan.sweep_seeds))


def settings_for(preset: str, teacher_weights: str) -> Learning:
    """The learner's settings for pre-training on a whole dataset.

    Their number of steps is the plan's.
    """
    learning = Learning(preset=preset, teacher_weights=teacher_weights)
    if preset == "edge":
        return learning
    batch = PAPER.batches[0]
    return as_stated(learning, batch=batch, queue=max(PAPER.queues[batch]), pairs=0)


def pretraining(learning: Learning, plan: Plan, **changes: Any) -> Learning:
    """The learner's settings for one pre-training of the plan."""
    given = {"total_steps": plan.pretrain_steps, "batch": plan.batch}
    return replace(learning, **(given | changes))
