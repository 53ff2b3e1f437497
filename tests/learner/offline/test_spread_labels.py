"""The linear protocol with labels spread: the same draws, the same features, no test row seen."""

from dataclasses import replace

import pytest
import torch

from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.learner.offline import probe, spread_labels
from rvsense.learner.offline.samples import UNLABELLED
from rvsense.learner.offline.spread_labels import Sides, spread_linear
from rvsense.learner.offline.task import Task, label_draw
from tests.learner.offline.toyscenes import KEY_DIM, toy_samples

DATA = toy_samples(sequences=40)
TASK = Task(pretrain=torch.arange(320), train=torch.arange(0, 320, 2), test=torch.arange(320, 400))
ENCODER = build_encoder(EncoderSpec("residual", ("magnitude", "motion"), KEY_DIM, width=4), seed=0)


@pytest.fixture(scope="module")
def sides() -> Sides:
    """Of an untrained encoder."""
    return Sides.of(ENCODER, DATA, TASK)


def test_few_labels_do_better_when_they_are_spread(sides: Sides) -> None:
    """Than the linear layer alone with the very same draws; the camera names nearly all rightly."""
    alone = probe.linear(probe.encoder_features(ENCODER, DATA, TASK), 0.05, draws=3, seed=0)
    spread = spread_linear(sides, 0.05, draws=3, seed=0)
    assert spread.accuracy > alone.accuracy
    assert spread.named is not None
    assert spread.named > 0.95
    assert 0 <= spread.ece < 0.5
    assert spread == spread_linear(sides, 0.05, draws=3, seed=0)


def test_labels_are_drawn_as_for_the_linear_layer(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of the dataset are the same ones, draw by draw; the others are the pool."""
    drawn: list[torch.Tensor] = []

    def noted(*given: object) -> torch.Tensor:
        drawn.append(label_draw(*given))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(spread_labels, "label_draw", noted)
    monkeypatch.setattr(probe, "label_draw", noted)
    spread_linear(sides, 0.05, draws=2, seed=4)
    probe.linear(probe.encoder_features(ENCODER, DATA, TASK), 0.05, draws=2, seed=4)
    mine, theirs = drawn[:2], drawn[2:]
    for one, other in zip(mine, theirs, strict=True):
        assert TASK.pretrain[one].tolist() == TASK.train[other].tolist()


def test_no_label_is_seen_but_those_that_were_drawn(sides: Sides) -> None:
    """Everyone else's may be anything, and the figures on the test side are the same."""
    drawn = replace(sides, labels=sides.labels.clone())
    found = spread_linear(drawn, 1.0, draws=1, seed=0)
    hidden = torch.ones(320, dtype=torch.bool)
    hidden[TASK.train] = False
    drawn.labels[hidden] = UNLABELLED
    again = spread_linear(drawn, 1.0, draws=1, seed=0)
    assert (found.accuracy, found.ece) == (again.accuracy, again.ece)
    assert again.named is None


def test_where_all_are_labelled_nothing_is_spread(sides: Sides) -> None:
    """It is the linear layer then."""
    whole = Sides.of(ENCODER, DATA, replace(TASK, train=TASK.pretrain))
    linear = probe.linear(
        probe.encoder_features(ENCODER, DATA, replace(TASK, train=TASK.pretrain)), 1.0, 1, seed=0
    )
    spread = spread_linear(whole, 1.0, draws=1, seed=0)
    assert spread.accuracy == linear.accuracy
    assert spread.named is None
