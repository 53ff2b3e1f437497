"""What frozen features are worth, against numbers worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.head import HeadFit
from rvsense.learner.offline import probe, stages
from rvsense.learner.offline.probe import Features
from rvsense.learner.offline.task import Task
from tests.learner.offline.toyscenes import KEY_DIM, toy_samples

DATA = toy_samples()
TASK = Task(pretrain=torch.arange(160), train=torch.arange(160), test=torch.arange(160, 200))


def features(shift: float) -> Features:
    """Four clouds; `shift` says how far apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(160) % 4
    columns = torch.randn(160, 6, generator=generator)
    columns[torch.arange(160), labels] += shift
    return Features(
        columns[:120], columns[120:], labels[:120], labels[120:], torch.arange(120) // 4
    )


def test_classes_that_lie_apart_are_told_apart() -> None:
    """By a linear layer with few labels, and by neighbours; without a difference by neither."""
    apart, alike = features(9.0), features(0.0)
    assert probe.linear(apart, 0.1, draws=3, seed=0).accuracy == 1.0
    assert probe.nearest_neighbours(apart) == 1.0
    assert probe.linear(alike, 1.0, draws=1, seed=0).accuracy < 0.5
    assert probe.nearest_neighbours(alike) < 0.5


def test_draws_of_labels_follow_from_the_seed() -> None:
    """Several are averaged; with all labels there is only one."""
    found = features(1.5)
    one = probe.linear(found, 0.05, draws=4, seed=1)
    assert one.accuracy == probe.linear(found, 0.05, draws=4, seed=1).accuracy
    assert one.accuracy != probe.linear(found, 0.05, draws=4, seed=2).accuracy
    assert one.probabilities.shape == (40, 4)
    whole = [probe.linear(found, 1.0, draws, seed).accuracy for draws, seed in ((1, 0), (5, 7))]
    assert whole[0] == whole[1]


def test_features_are_those_of_the_rows_of_the_task() -> None:
    """Of an encoder, of the heatmap and of the teacher."""
    spec = EncoderSpec("residual", ("magnitude", "motion"), KEY_DIM, width=4)
    encoder = build_encoder(spec, seed=0)
    found = probe.encoder_features(encoder, DATA, TASK)
    with torch.inference_mode():
        own = encoder.features(DATA.inputs[TASK.test[:3]].float())
    assert torch.allclose(found.test[:3], own, atol=1e-5)
    assert torch.equal(found.train_labels, DATA.labels[:160])
    assert torch.equal(found.train_groups, DATA.sequences[:160])
    raw = probe.raw_features(DATA, TASK)
    cell = DATA.inputs[160, 0, :8, :8].float().mean()
    assert raw.test.shape == (40, 2 * 16 * 16)
    assert raw.test[0, 0] == pytest.approx(float(cell), abs=1e-5)
    assert torch.equal(probe.teacher_features(DATA, TASK).test, DATA.keys[160:].float())


def test_confusion_counts_by_true_class_and_answer() -> None:
    """Rows are the truth."""
    answers, labels = torch.tensor([0, 3, 3, 1]), torch.tensor([0, 3, 2, 2])
    expected = [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert probe.confusion(answers, labels) == expected


def test_ranges_are_binned_by_the_nearest_object() -> None:
    """An edge belongs to the nearer bin; empty scenes and what is beyond the last to none."""
    edges = stages.RANGE_EDGES_M
    ranges = torch.full((200,), torch.nan)
    ranges[160:165] = torch.tensor(
        [edges[1] - 0.5, edges[1], edges[1] + 0.1, edges[-1] - 0.1, edges[-1] + 1]
    )
    answers = DATA.labels[160:].clone()
    answers[1] = (answers[1] + 1) % 4
    found = stages.by_range(answers, replace(DATA, range_m=ranges), TASK)
    between = [0] * (len(edges) - 4)
    assert found["edges_m"] == list(edges)
    assert found["frames"] == [2, 1, *between, 1]
    assert found["right"] == [1, 1, *between, 1]


def known_head(*_: Any) -> HeadFit:
    """Its logits are the features."""
    return HeadFit(torch.eye(4), torch.zeros(4), torch.zeros(4), torch.ones(4))


def test_trust_is_what_the_probabilities_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers right at .9 and .6, two wrong at .85 and .4; each in a bin of its own."""
    monkeypatch.setattr(stages, "fit_head", known_head)

    def row(confidence: float) -> list[float]:
        return [confidence, *([(1 - confidence) / 3] * 3)]

    test = torch.tensor([row(0.4), row(0.9), row(0.6), row(0.85)]).log()
    truth = torch.tensor([2, 0, 0, 1])
    labels: Tensor = torch.arange(40) % 4
    found = stages.trust(Features(torch.zeros(40, 4), test, labels, truth, labels), seed=0)
    assert found["ece"] == pytest.approx((0.1 + 0.85 + 0.4 + 0.4) / 4, abs=1e-6)
    own = (0.9, 0.6, 0.05, 0.2)
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, own)) / 4, abs=1e-6)
    assert found["coverage"] == {
        "1.0": 0.5, "0.95": 0.5, "0.9": 0.5, "0.8": 0.5,
        "0.7": pytest.approx(2 / 3), "0.5": 0.5,
    }  # fmt: skip
