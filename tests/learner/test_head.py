"""The linear head: the same as scikit-learn's, calibrated, measured out of fold."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from rvsense.learner import headfit

CLASSES = 4


def blobs(count: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features in six dimensions around one centre a class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    centres = torch.randn(CLASSES, 6, generator=torch.Generator().manual_seed(9))
    noise = spread * torch.randn(count, 6, generator=generator)
    return centres[labels] + noise, labels


@pytest.mark.parametrize("strength", [1e-3, 1e-1])
def test_fit_is_that_of_scikit_learn(strength: float) -> None:
    """Same objective, pseudo-labels included, and same optimum: four digits agree."""
    x, labels = blobs(90, 1.0)
    fit = headfit.fit_linear(x.double(), labels, strength)
    z = ((x.double() - fit.mean) / fit.std).numpy()
    peer = LogisticRegression(C=1 / (strength * len(labels)), tol=1e-8, max_iter=5000)
    pseudo = np.concatenate([z, np.zeros((CLASSES, 6))])
    peer.fit(pseudo, np.concatenate([labels.numpy(), np.arange(CLASSES)]))
    wanted = peer.predict_proba(z)
    ours = torch.softmax(fit.logits(x.double()), dim=1).numpy()
    assert np.abs(ours - wanted).max() < 1e-4


def test_fit_repeats_to_the_bit() -> None:
    """The same labels give the same head."""
    x, labels = blobs(60, 1.0)
    groups = torch.arange(60) // 3
    first, second = (headfit.fit_head(x, labels, groups) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.weight, second.weight)
    assert first.temperature == second.temperature


def test_out_of_fold_accuracy_is_honest() -> None:
    """On features without meaning, many dimensions and few labels, it stays near chance."""
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(80, 200, generator=generator), torch.arange(80) % CLASSES
    head = headfit.fit_head(x, labels, torch.arange(80))
    assert head is not None
    assert head.accuracy is not None
    assert head.accuracy < 0.5
    with torch.no_grad():
        seen = float((head.logits(x).argmax(dim=1) == labels).float().mean())
    assert seen > 0.8


def test_calibration_reduces_log_loss() -> None:
    """Overconfident logits get a temperature above 1 and a lower loss on fresh data."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % CLASSES
    logits = 6 * (F.one_hot(labels) + 0.8 * torch.randn(400, CLASSES, generator=generator))
    temperature = headfit.best_temperature(logits[:200].double(), labels[:200])
    fresh, truth = logits[200:].double(), labels[200:]
    assert temperature > 1
    assert F.cross_entropy(fresh / temperature, truth) < F.cross_entropy(fresh, truth)


@pytest.mark.parametrize("wanted", [0.3, 1.0, 4.0])
def test_temperature_is_found(wanted: float) -> None:
    """Labels drawn from softmax(logits / T) give T back."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, CLASSES, generator=generator).double()
    probabilities = torch.softmax(logits / wanted, dim=1)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    assert headfit.best_temperature(logits, labels) == pytest.approx(wanted, rel=0.08)


def test_calibration_error_by_hand() -> None:
    """Two bins: .9 confident and half right (gap .4), .5 confident and all right (gap .5)."""
    probabilities = torch.tensor([[0.9, 0.1, 0, 0]] * 2 + [[0.5, 0.3, 0.2, 0]] * 2).double()
    labels = torch.tensor([0, 1, 0, 0])
    assert headfit.calibration_error(probabilities, labels) == pytest.approx(0.45)


def test_folds_keep_groups_whole_and_classes_spread() -> None:
    """No group is torn, and each class is in at least four of the five folds."""
    groups = torch.arange(120) // 4
    labels = (torch.arange(120) // 4) % CLASSES
    folds = headfit.assign_folds(labels, groups)
    for group in range(30):
        assert len(set(folds[groups == group].tolist())) == 1
    for label in range(CLASSES):
        assert len(set(folds[labels == label].tolist())) >= 4


def test_one_class_makes_no_head() -> None:
    """With one class, or no label at all, there is nothing to tell apart."""
    x, _ = blobs(20, 1.0)
    zeros = torch.zeros(20, dtype=torch.int64)
    assert headfit.fit_head(x, zeros, torch.arange(20)) is None
    assert headfit.fit_head(x[:0], zeros[:0], zeros[:0]) is None


def test_few_labels_make_an_unmeasured_head() -> None:
    """Below MIN_LABELS there is a head, and it says that nobody has measured it."""
    x, labels = blobs(6, 0.1)
    head = headfit.fit_head(x, labels, torch.arange(6))
    assert head is not None
    assert (head.accuracy, head.ece, head.temperature) == (None, None, 1.0)
    assert head.labels == {"empty": 2, "pedestrian": 2, "cyclist": 1, "car": 1}


def test_constant_features_do_no_harm() -> None:
    """A feature that never varies is not divided by zero."""
    x, labels = blobs(40, 0.5)
    x[:, 2] = 3.0
    head = headfit.fit_head(x, labels, torch.arange(40))
    assert head is not None
    assert torch.isfinite(head.probabilities(x)).all()


def test_a_class_without_labels_keeps_a_probability() -> None:
    """Two of the four are never labelled: their frames are not certainly something else."""
    x, labels = blobs(80, 1.0)
    shown = labels < 2
    head = headfit.fit_head(x[shown], labels[shown], torch.arange(40))
    assert head is not None
    others = head.probabilities(x)[~shown, 2:].sum(dim=1)
    assert others.mean() > 0.01
    assert head.probabilities(x).isfinite().all()


def test_far_from_every_label_the_answer_is_less_sure() -> None:
    """The same answer, at a direction that no label has, with less confidence."""
    x, labels = blobs(60, 0.5)
    x = torch.cat([x, torch.zeros(60, 1)], dim=1)
    head = headfit.fit_head(x, labels, torch.arange(60))
    assert head is not None
    far = x + 30 * F.one_hot(torch.tensor(6), 7)
    near_answer, far_answer = head.probabilities(x), head.probabilities(far)
    assert torch.equal(near_answer.argmax(dim=1), far_answer.argmax(dim=1))
    assert far_answer.amax(dim=1).mean() < near_answer.amax(dim=1).mean() - 0.1


def test_uncertainty_is_that_of_the_posterior() -> None:
    """The low-rank form against the covariance written out, with fewer labels than features."""
    x = torch.randn(9, 14, generator=torch.Generator().manual_seed(0)).double()
    known, doubt = headfit.directions(x).uncertainty(0.1)
    z = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    precision = headfit.CURVATURE * z.T @ z + 9 * 0.1 * torch.eye(14)
    wanted = torch.linalg.inv(precision)
    assert torch.allclose(doubt * (torch.eye(14) - known.T @ known), wanted, atol=1e-10)


def test_a_few_stretches_hardly_move_the_temperature() -> None:
    """With a prior the temperature lies between 1 and that of the labels alone."""
    x, labels = blobs(12, 1.0)
    logits = 20 * x[:, :CLASSES].double()
    alone = headfit.best_temperature(logits, labels)
    drawn = headfit.best_temperature(logits, labels, pull=1 / 0.09)
    assert alone > 2
    assert 1 < drawn < alone / 1.5
