"""Each queue is full, and its steps are those of K = 320 but for its length."""

import pytest
import torch

from bench.queues import BLOCK, LENGTHS, Length, bytes_of, fill, step_rows, with_full_queue
from rvsense.config import Learning
from rvsense.learner.queue import KeyQueue

TINY = Learning(preset="edge", device="cpu", batch=4, queue=16, min_pool_pairs=4)


@pytest.mark.parametrize("length", [Length(320), Length(50), *LENGTHS], ids=lambda own: own.name)
def test_every_slot_of_the_queue_counts(length: Length) -> None:
    """A full queue, of which the keys of the query's own site are its negatives."""
    trainer = with_full_queue(length.of(TINY))
    assert trainer.queue.fill == length.queue
    assert trainer.queue.keys.shape == (length.queue, length.short_keys or 1280)
    outcome = trainer.train()
    negatives = torch.isfinite(outcome.logits[:, 1:]).sum(dim=1)
    assert outcome.updated
    assert (negatives >= length.queue // 4).all()
    assert (negatives <= length.queue // 4 + 1).all()


def test_a_queue_is_filled_with_unit_keys_all_of_them_different() -> None:
    """Also where they are made in several blocks."""
    queue = KeyQueue(BLOCK + 3, 8, torch.device("cpu"))
    fill(queue)
    assert queue.fill == queue.size
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(queue.size))
    assert len(torch.unique(queue.keys, dim=0)) == queue.size
    assert len(torch.unique(queue.stamps)) == queue.size


def test_both_sides_take_as_many_steps() -> None:
    """Once in each round, with no goal but the length's own."""
    lengths = (Length(8), Length(32, goal=LENGTHS[0].goal))
    rows = step_rows(lengths, TINY, steps=1, times=2)
    assert [row.goal for row in rows] == [None, LENGTHS[0].goal]
    assert all(len(row.ours) == len(row.theirs) == 2 for row in rows)
    assert all(min(row.ours + row.theirs) > 0 for row in rows)


def test_short_keys_take_a_tenth_of_the_memory() -> None:
    """Of the queue's own tensors: keys, and a stamp and a place of 8 bytes for each."""
    for length in (Length(64), Length(64, 128)):
        size = 2 if with_full_queue(length.of(TINY)).dtype == torch.bfloat16 else 4
        assert bytes_of(length) == 64 * (size * (length.short_keys or 1280) + 16)
