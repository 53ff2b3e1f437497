"""Contrastive pre-training over a table: it learns, the same each time, and without labels."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.learner.offline.pretrain import Pretrained, Table, fitted_scale, pretrain
from rvsense.learner.offline.samples import Samples
from rvsense.learner.presets import PRESETS
from rvsense.learner.teacher import tensors_sha256
from tests.learner.offline.toyscenes import KEY_DIM, toy_samples

LEARNING = Learning(
    preset="edge", batch=16, queue=64, warmup_steps=4, total_steps=60, ema_samples=100,
    learning_rate=0.1,
)  # fmt: skip
ROWS = torch.arange(150)


@pytest.fixture(scope="module")
def data() -> Samples:
    """200 samples of four classes."""
    return toy_samples()


def run(data: Samples, seed: int = 1, **changes: Any) -> Pretrained:
    """A narrow encoder, trained on ROWS."""
    spec = EncoderSpec("residual", ("magnitude", "motion"), KEY_DIM, width=4)
    learning = replace(LEARNING, **changes)
    encoder = build_encoder(spec, seed=0)
    device = torch.device("cpu")
    return pretrain(encoder, data, ROWS, learning, PRESETS["edge"], seed=seed, device=device)


def digest(done: Pretrained) -> str:
    """Of the weights."""
    return tensors_sha256(done.encoder.state_dict())


def test_it_learns_to_tell_pairs_apart(data: Samples) -> None:
    """Against the same run at a rate of nothing; the bound stays below its ceiling."""
    trained, idle = run(data), run(data, learning_rate=1e-12)
    assert trained.loss < idle.loss - 0.3
    assert trained.instance_top1 > idle.instance_top1
    assert idle.mi_bound < trained.mi_bound < trained.mi_ceiling


def test_same_seed_same_weights_and_labels_are_not_read(data: Samples) -> None:
    """Nor are rows that were not given: those of the test side."""
    mixed = torch.randperm(len(data), generator=torch.Generator().manual_seed(5))
    inputs, keys = data.inputs.clone(), data.keys.clone()
    inputs[150:], keys[150:] = 7.0, 7.0
    other = replace(
        data, labels=data.labels[mixed], range_m=data.range_m[mixed], inputs=inputs, keys=keys
    )
    short = {"total_steps": 12}
    one = run(data, **short)
    assert digest(one) == digest(run(other, **short))
    assert digest(one) != digest(run(data, seed=2, **short))


def test_short_keys_are_whitened_where_asked_for(
    data: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting reaches the scale: axes then count alike."""
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 100)
    table = Table(data, ROWS)
    learning = replace(LEARNING, short_keys=3, background="kept")
    both = [
        fitted_scale(table, KEY_DIM, replace(learning, whiten_keys=whiten))(
            table.take("key"), table.take("place")
        ).std(dim=0)
        for whiten in (False, True)
    ]
    plain, white = (float(spread.max() / spread.min()) for spread in both)
    assert white < 0.8 * plain


def test_progress_is_told_after_every_step(data: Samples) -> None:
    """With the number of steps that are done."""
    told = list[int]()
    pretrain(
        build_encoder(EncoderSpec("residual", ("magnitude", "motion"), KEY_DIM, width=4), seed=0),
        data, ROWS, replace(LEARNING, total_steps=4), PRESETS["edge"],
        seed=0, device=torch.device("cpu"), after_step=told.append,
    )  # fmt: skip
    assert told == [1, 2, 3, 4]


def test_a_table_shows_its_rows_and_no_others(data: Samples) -> None:
    """Slots count within the rows; only stamps of one sequence have the same place."""
    rows = torch.tensor([42, 7, 160])
    table = Table(data, rows)
    assert torch.equal(table.take("key"), data.keys[rows])
    assert torch.equal(table.take("input", torch.tensor([2, 0])), data.inputs[rows[[2, 0]]])
    assert torch.equal(table.take("stamp"), data.stamps_ns[rows])
    places = Table(data, torch.arange(len(data))).take("place")
    alike = places[:, None] == places[None]
    assert torch.equal(alike, data.sequences[:, None] == data.sequences[None])
