"""The two sides of the step do the same work on the same encoder."""

import pytest
import torch

from bench.step import PRECISIONS, bare_pass, compare, filled_trainer
from rvsense.config import Learning

TINY = Learning(batch=4, queue=16, min_pool_pairs=4)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_bare_pass_gives_all_gradients_and_changes_no_weight(precision: str) -> None:
    """Forward and backward, in the trainer's own precision."""
    trainer = filled_trainer(Learning(batch=4, queue=16, precision=precision), pairs=8)
    before = [p.clone() for p in trainer.encoder.parameters()]
    seen: list[torch.dtype] = []
    projection = trainer.encoder.get_submodule("projection")
    projection.register_forward_hook(lambda *hook: seen.append(hook[2].dtype))
    bare_pass(trainer)()
    assert seen == [trainer.dtype] == [getattr(torch, precision)]
    assert all(p.grad is not None and p.grad.any() for p in trainer.encoder.parameters())
    after = trainer.encoder.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_round_is_one_pair_of_figures() -> None:
    """Each side once in each round."""
    row = compare(TINY, steps=1, times=2)
    assert len(row.ours) == len(row.theirs) == 2
    assert min(row.ours + row.theirs) > 0
