"""The same code on CUDA; skipped where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rvsense.config import Learning
from rvsense.device import settle
from rvsense.learner import publication
from rvsense.learner.group import Group
from rvsense.learner.main import build_trainer
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair
from rvsense.machine import RANDOM
from rvsense.model import ServableModel

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SMALL = Learning(
    preset="edge", teacher_weights=RANDOM, batch=8, queue=50, min_pool_pairs=8, heldout_pairs=0
)


@pytest.fixture(autouse=True)
def settled() -> None:
    """As in the processes that use a device."""
    settle(torch.device("cuda"))


def trained(
    learning: Learning, make_pair: Callable[[int], Pair], steps: int
) -> tuple[Trainer, list[float]]:
    """A trainer after so many steps, and the loss of each."""
    trainer = build_trainer(learning, 0)
    for i in range(16):
        trainer.ingest(make_pair(i))
    outcomes = [trainer.train() for _ in range(steps)]
    assert all(outcome.updated for outcome in outcomes)
    return trainer, [outcome.info_nce for outcome in outcomes]


def test_a_step_is_the_same_on_both_devices(make_pair: Callable[[int], Pair]) -> None:
    """The same draws, losses to rounding, and weights that have moved alike, in float32."""
    both = [
        trained(replace(SMALL, device=device, precision="float32"), make_pair, steps=4)
        for device in ("cpu", "cuda")
    ]
    (cpu, losses), (cuda, others) = both
    assert torch.equal(cpu.generator.get_state(), cuda.generator.get_state())
    assert losses == pytest.approx(others, abs=1e-3)
    start = build_trainer(replace(SMALL, device="cpu"), 0).encoder.state_dict()
    for name, there in cuda.encoder.state_dict().items():
        if there.is_floating_point():
            moved, other = cpu.encoder.state_dict()[name] - start[name], there.cpu() - start[name]
            assert (moved - other).norm() <= 0.02 * moved.norm() + 1e-6, name


def test_a_run_on_cuda_repeats_every_bit(make_pair: Callable[[int], Pair]) -> None:
    """Same seed and pairs, same losses and weights: algorithms are chosen by no clock."""
    learning = replace(SMALL, device="cuda")
    (first, losses), (second, others) = (trained(learning, make_pair, steps=6) for _ in range(2))
    assert losses == others
    ends = [tensors_sha256(trainer.encoder.state_dict()) for trainer in (first, second)]
    assert ends[0] == ends[1]


def test_bfloat16_learns_without_a_scaler(make_pair: Callable[[int], Pair]) -> None:
    """Its range is float32's, so no gradient is lost; the loss is near float32's."""
    _, losses = trained(replace(SMALL, device="cuda", precision="float32"), make_pair, steps=4)
    trainer, short = trained(
        replace(SMALL, device="cuda", precision="bfloat16"), make_pair, steps=4
    )
    assert trainer.dtype == torch.bfloat16
    assert losses == pytest.approx(short, abs=0.1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_paper_preset_takes_steps(precision: str, make_pair: Callable[[int], Pair]) -> None:
    """VGG-16 teacher and encoder on images and heatmaps, from their random start."""
    learning = replace(SMALL, preset="paper", device="cuda", precision=precision, batch=16)
    trainer, losses = trained(learning, make_pair, steps=2)
    assert trainer.encoder.spec.name == "vgg16"
    assert np.isfinite(losses).all()


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
