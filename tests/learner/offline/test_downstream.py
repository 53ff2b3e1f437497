"""Networks taught with labels: the epoch that is kept, and what may decide it."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.learner.offline.downstream import (
    Classifier,
    Curve,
    Teaching,
    logits_of,
    measure,
    set_aside,
    teach,
)
from rvsense.learner.offline.samples import Samples
from rvsense.learner.teacher import tensors_sha256
from tests.learner.offline.toyscenes import KEY_DIM, toy_samples

TRAIN, TEST = torch.arange(160), torch.arange(160, 200)
HOW = Teaching(epochs=4, least_steps=8, batch=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def data() -> Samples:
    """20 sequences of 10 frames; classes in turn."""
    return toy_samples()


@pytest.fixture(scope="module")
def encoder() -> RadarEncoder:
    """Narrow and untrained."""
    return build_encoder(EncoderSpec("residual", ("magnitude", "motion"), KEY_DIM, width=4), seed=0)


def run(
    encoder: RadarEncoder, data: Samples, train: Tensor = TRAIN, how: Teaching = HOW, **more: Any
) -> tuple[Classifier, Curve]:
    """Tested on TEST."""
    device = torch.device("cpu")
    return teach(encoder, data, train, TEST, how=how, seed=0, device=device, **more)


@pytest.fixture(scope="module")
def taught(encoder: RadarEncoder, data: Samples) -> tuple[Classifier, Curve]:
    """Of the fixtures' encoder and data."""
    return run(encoder, data)


def test_the_epoch_kept_is_that_of_the_least_validation_loss(
    data: Samples, taught: tuple[Classifier, Curve]
) -> None:
    """Also where the last is not the best; the network returned is the one of that epoch."""
    network, curve = taught
    assert curve.epochs == [1, 2, 3, 4]
    assert len(curve.loss) == len(curve.accuracy) == len(curve.validation) == 4
    assert curve.validation[curve.kept] == min(curve.validation)
    assert measure(network, data, TEST) == (curve.loss[curve.kept], curve.accuracy[curve.kept])


def test_validation_and_not_the_end_decides(encoder: RadarEncoder, data: Samples) -> None:
    """With wrong labels on what is set aside, learning only makes it worse: an early epoch."""
    rows, aside = set_aside(TRAIN, data)
    labels = data.labels.clone()
    labels[aside] = (labels[aside] + 1) % 4
    wrong = replace(data, labels=labels)
    assert torch.equal(set_aside(TRAIN, wrong)[1], aside)
    how = replace(HOW, learning_rate=1e-2, epochs=16, batch=16)
    _, curve = run(encoder, wrong, how=how)
    assert curve.accuracy[-1] > 0.9
    assert curve.kept < len(curve.epochs) - 1
    assert len(rows) + len(aside) == len(TRAIN)


def test_the_test_side_decides_nothing(
    encoder: RadarEncoder, data: Samples, taught: tuple[Classifier, Curve]
) -> None:
    """Other labels there change what is measured there, and not the weights."""
    labels = data.labels.clone()
    labels[TEST] = labels[TEST].flip(0)
    network, curve = run(encoder, replace(data, labels=labels))
    assert curve.loss != taught[1].loss
    assert curve.validation == taught[1].validation
    assert curve.kept == taught[1].kept
    assert tensors_sha256(network.state_dict()) == tensors_sha256(taught[0].state_dict())


def test_it_learns_and_leaves_the_encoder_it_was_given(
    encoder: RadarEncoder, data: Samples
) -> None:
    """So that the next method starts from the same one; the share done adds up to 1."""
    before, told = copy.deepcopy(encoder.state_dict()), list[float]()
    _, curve = run(
        encoder, data, how=replace(HOW, learning_rate=1e-2, epochs=16, batch=16), tell=told.append
    )
    assert curve.accuracy[-1] > 0.9
    assert curve.loss[-1] < curve.loss[0]
    assert sum(told) == pytest.approx(1.0)
    after = encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_few_labels_are_all_learned_from_for_enough_steps(
    encoder: RadarEncoder, data: Samples
) -> None:
    """No validation, the last epoch kept, epochs as many as `least_steps` takes."""
    few = TRAIN[::20]
    _, curve = run(encoder, data, few, replace(HOW, epochs=2, least_steps=9))
    assert set_aside(few, data)[0].tolist() == few.tolist()
    assert curve.validation == []
    assert curve.epochs[-1] == 9
    assert len(curve.epochs) < 4 + 1
    assert curve.kept == len(curve.epochs) - 1


def test_what_is_set_aside_shares_no_sequence_and_leaves_every_class(data: Samples) -> None:
    """About a fifth; none where only one sequence shows a class."""
    rows, aside = set_aside(TRAIN, data)
    assert not set(data.sequences[rows].tolist()) & set(data.sequences[aside].tolist())
    assert set(data.labels[rows].tolist()) == set(data.labels[aside].tolist()) == {0, 1, 2, 3}
    assert 0.15 < len(aside) / len(TRAIN) < 0.3
    one_car = torch.where(data.labels == 3, 99, data.sequences)
    rows, aside = set_aside(TRAIN, replace(data, sequences=one_car))
    assert rows.tolist() == TRAIN.tolist()
    assert len(aside) == 0


def test_logits_do_not_depend_on_how_rows_are_split(
    encoder: RadarEncoder, data: Samples, taught: tuple[Classifier, Curve]
) -> None:
    """Each row's own, in the order asked for."""
    network, _ = taught
    network.eval()
    together = logits_of(network, data, torch.arange(100))
    assert together.shape == (100, 4)
    alone = logits_of(network, data, torch.tensor([93, 5]))
    assert torch.allclose(alone, together[[93, 5]], atol=1e-5)
