"""The paper preset takes a step on a CPU."""

from collections.abc import Callable
from dataclasses import replace

import torch

from rvsense.config import Learning
from rvsense.learner import presets
from rvsense.learner.main import build_trainer
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
