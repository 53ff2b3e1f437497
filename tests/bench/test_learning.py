"""Both sides of the learning comparison train on the same pairs, as often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.errors import RvsenseError
from rvsense.learner import images
from rvsense.learner.presets import PRESETS
from rvsense.learner.teacher import Teacher
from rvsense.link import Pair
from tests.learner.conftest import toy_heatmap, toy_jpeg

pytest.importorskip("lightly")
from bench.cached import LINEAR
from bench.learning import Trained, lookup, rows_of
from bench.loop import Keys, Loop, encoding
from bench.taught import feed

PAIRS = 24
LEARNING = Learning(
    preset="edge",
    device="cpu",
    teacher_weights="random",
    batch=4,
    queue=8,
    min_pool_pairs=4,
    heldout_pairs=0,
    steps_per_pair=0.5,
)


def pairs() -> Iterator[Pair]:
    """One pair a second of one site."""
    for i in range(PAIRS):
        heatmap, image = toy_heatmap(i % 4, i), toy_jpeg(i % 4, i)
        yield Pair("east", 0, i * 10**9, i, i, 0, "jpeg", heatmap, image)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    """The edge preset's, with weights of its own."""
    return PRESETS["edge"].teacher("random", torch.device("cpu"))


def trained_loop(keys: Keys, steps: int, dtype: torch.dtype = torch.float32) -> Loop:
    """Some steps over all pairs."""
    encoder = build_encoder(EncoderSpec("residual", ("magnitude", "motion"), 1280, width=4), seed=0)
    inputs = torch.cat(
        [encoder.prepare(torch.from_numpy(pair.heatmap)[None]).half() for pair in pairs()]
    )
    loop = Loop(encoder, inputs, LEARNING, rate=0.02, seed=0, dtype=dtype)
    for _ in range(steps):
        loop.step(keys)
    return loop


def test_the_loop_learns_the_same_from_keys_that_it_looks_up(teacher: Teacher) -> None:
    """The teacher is frozen: to encode an image again gives nothing new."""
    payloads = [pair.image for pair in pairs()]
    encode, asked = encoding(payloads, teacher), []

    def noted(slots: Tensor) -> Tensor:
        asked.extend(slots.tolist())
        return encode(slots)

    known = torch.stack([teacher.key_of(images.decode_image("jpeg", p, None)) for p in payloads])
    torch.testing.assert_close(encode(torch.arange(PAIRS)), known, rtol=1e-3, atol=1e-4)
    whole = trained_loop(noted, PAIRS // LEARNING.batch)
    quick = trained_loop(lookup(known), PAIRS // LEARNING.batch)
    assert sorted(asked) == list(range(PAIRS))  # an epoch has every pair once
    for name, weights in whole.encoder.state_dict().items():
        torch.testing.assert_close(quick.encoder.state_dict()[name], weights, rtol=0, atol=1e-3)


def test_the_loop_encodes_in_the_precision_that_it_is_given() -> None:
    """And its weights stay float32."""
    keys = lookup(torch.randn(PAIRS, 1280, generator=torch.Generator().manual_seed(0)))
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        weights = trained_loop(keys, 2, dtype).encoder.state_dict().values()
        ends.append(torch.cat([part.flatten().float() for part in weights]))
        assert not any(part.dtype == torch.bfloat16 for part in weights)
    assert not torch.equal(*ends)
    torch.testing.assert_close(*ends, rtol=0, atol=0.05)


@pytest.mark.process
def test_the_sides_train_as_many_samples_of_all_pairs(tmp_path: Path) -> None:
    """The learner over its socket, in a process of its own; the loop, as many steps."""
    fed = feed(pairs(), LEARNING, 0, tmp_path)
    assert fed.pairs == PAIRS
    before_ready = LEARNING.min_pool_pairs - 1
    assert fed.steps == int(LEARNING.steps_per_pair * (PAIRS - before_ready))
    assert fed.models
    assert fed.seconds > 0
    loop = trained_loop(lookup(torch.ones(PAIRS, 1280)), fed.steps)
    assert loop.samples == fed.samples == fed.steps * LEARNING.batch


def test_rates_are_compared_of_as_many_samples_alone() -> None:
    """Ours in a third of the loop's time is three times its rate."""
    accuracies = dict.fromkeys(LINEAR.values(), 0.5)
    ours, theirs = Trained(640, 10.0, accuracies), Trained(640, 30.0, accuracies)
    ratios = [row.ratio for row in rows_of([ours], [theirs], None)]
    assert ratios == pytest.approx([3, 1 / 3, 1, 1])
    with pytest.raises(RvsenseError, match="as many samples"):
        rows_of([ours], [Trained(320, 30.0, accuracies)], None)
