"""The same code on CUDA; skipped where there is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rvsense.config import Learning
from rvsense.learner import publication
from rvsense.learner.group import Group
from rvsense.learner.main import build_trainer
from rvsense.link import Label, Pair
from rvsense.machine import RANDOM
from rvsense.model import ServableModel

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def test_cuda_learns_and_its_model_answers_alike_on_both_devices(
    tmp_path: Path, make_pair: Callable[[int], Pair], make_label: Callable[[int], Label]
) -> None:
    """Ten finite steps on CUDA; the published model gives the CPU's probabilities to 1e-3."""
    learning = Learning(
        preset="edge", device="cuda", teacher_weights=RANDOM, batch=8, queue=50, min_pool_pairs=8
    )
    trainer = build_trainer(learning, 0)
    for i in range(16):
        trainer.ingest(make_pair(i))
        trainer.add_label(make_label(i))
    assert all(trainer.train().updated for _ in range(10))
    sha256 = trainer.teacher.sha256()
    published, _ = publication.publish(trainer, tmp_path, teacher_sha256=sha256, figures={})
    heatmaps = [make_pair(i).heatmap for i in range(4)]
    answers = [
        ServableModel(published, torch.device(name)).classify(heatmaps) for name in ("cpu", "cuda")
    ]
    rows = np.array([[list(answer.probs.values()) for answer in each] for each in answers])
    assert np.abs(rows[0] - rows[1]).max() < 1e-3


def test_a_group_of_one_on_nccl_learns_as_a_process_alone(
    tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    """The first loss is the same to rounding, and every step is finite."""
    learning = Learning(
        preset="edge", device="cuda", teacher_weights=RANDOM, batch=8, queue=50, min_pool_pairs=8,
        heldout_pairs=0,
    )  # fmt: skip
    torch.distributed.init_process_group(
        "nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        alone = build_trainer(learning, 0)
        grouped = build_trainer(learning, 0, Group(60.0, shuffle=False))
        losses = []
        for trainer in (alone, grouped):
            for i in range(16):
                trainer.ingest(make_pair(i))
            outcomes = [trainer.train() for _ in range(3)]
            assert all(outcome.updated for outcome in outcomes)
            losses.append(outcomes[1].info_nce)  # the first step has no negatives
        assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    finally:
        torch.distributed.destroy_process_group()
