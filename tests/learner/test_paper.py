"""The paper preset takes a step on a CPU, and its recipe is the paper's."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from rvsense.config import Learning
from rvsense.learner import presets
from rvsense.learner.main import build_trainer
from rvsense.learner.objective import Objective, objective_of
from rvsense.learner.recipe import PAPER, as_stated, steps_for
from rvsense.learner.schedule import rate_at
from rvsense.link import Pair
from rvsense.machine import RANDOM


def test_paper_preset_steps(settings: Learning, make_pair: Callable[[int], Pair]) -> None:
    """VGG-16 twice: 4096-d keys and queries, and a finite step that changes one of the two."""
    learning = replace(
        settings,
        preset="paper",
        teacher_weights=RANDOM,
        batch=2,
        min_pool_pairs=2,
        pool_pairs=4,
        queue=5,
        heldout_pairs=0,
        warmup_steps=0,
    )
    trainer = build_trainer(learning, seed=0)
    teacher = trainer.teacher.sha256()
    before = next(trainer.encoder.parameters()).detach().clone()
    assert trainer.preset is presets.PRESETS["paper"]
    assert (trainer.teacher.key_dim, trainer.encoder.feature_dim) == (4096, 4096)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in trainer.encoder.modules())
    for i in (0, 3):
        trainer.ingest(make_pair(i))
    trainer.train()  # the queue is empty: no negatives, no gradient
    outcome = trainer.train()
    assert outcome.updated
    assert outcome.logits.shape == (2, 6)
    assert trainer.teacher.sha256() == teacher
    assert not torch.equal(next(trainer.encoder.parameters()), before)


def test_the_recipe_is_the_paper_s() -> None:
    """Sections IV-C and V-B: SGD 0.03, 0.9, 1e-4; 400, 300 and 32 epochs; K of Fig. 4."""
    assert (PAPER.learning_rate, PAPER.momentum, PAPER.weight_decay) == (0.03, 0.9, 1e-4)
    assert (PAPER.pretrain_epochs, PAPER.supervised_epochs) == (400, 300)
    assert (PAPER.finetune_epochs, PAPER.linear_epochs) == (32, 32)
    assert PAPER.downstream_learning_rate == 1e-4
    assert tuple(PAPER.queues) == PAPER.batches == (64, 128)
    assert [list(sizes) for sizes in PAPER.queues.values()] == [
        list(range(64, 321, 64)),
        [128, 256],
    ]


def test_as_stated_leaves_eq_1_alone_and_ends_the_cosine_with_the_last_epoch() -> None:
    """No lever beyond the paper is on; the rate starts at 0.03 and ends at 0."""
    levers = Learning(
        soft_targets=0.5, decoupled=True, temporal_positive_s=1.0, intra_modal=1.0, threads=2
    )
    stated = as_stated(levers, batch=64, queue=320, pairs=1000)
    assert objective_of(stated) == replace(
        Objective(temperature=0.07, exclusion_ns=0), soft_temperature=levers.soft_temperature
    )
    assert (stated.batch, stated.queue, stated.threads) == (64, 320, 2)
    assert stated.total_steps == steps_for(400, 1000, 64) == 6250
    shape = presets.PRESETS["paper"].decay
    rates = [
        rate_at(
            step,
            base=presets.rate_of(stated, presets.PRESETS["paper"]),
            warmup=stated.warmup_steps,
            total=stated.total_steps,
            shape=shape,
        )
        for step in (0, 3125, 6250)
    ]
    assert rates == pytest.approx([0.03, 0.015, 0.0])
