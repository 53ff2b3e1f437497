"""The linear protocol, online: multinomial logistic regression on frozen features, calibrated.

Everything is float64, full batch and started from zero, so the same labels give the same head.
Strength and temperature are chosen, and accuracy and calibration error are measured, on
out-of-fold answers; folds keep groups (stretches of one recording) whole.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense import trust
from rvsense.frames import CLASSES
from rvsense.head import HeadFit

FOLDS = 5
MIN_LABELS = 12
"""Fewer say nothing out of fold: the head is then fitted with DEFAULT_STRENGTH, unmeasured."""
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""L2 penalties per label on standardised features, from nearly free to nearly flat."""
DEFAULT_STRENGTH = 0.1
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (classes, F), bias (classes,) and the standardisation (F,) before them."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """(n, F) float64 to (n, classes)."""
        return ((features - self.mean) / self.std) @ self.weight.T + self.bias


def fit_head(features: Tensor, labels: Tensor, groups: Tensor) -> HeadFit | None:
    """(n, F) features, (n,) class indices and (n,) group numbers to a calibrated head.

    None when the labels show fewer than two classes: there is nothing to tell apart.
    """
    if len(torch.unique(labels)) < 2:
        return None
    x = features.double()
    folds = assign_folds(labels, groups)
    strength, temperature, accuracy, error = DEFAULT_STRENGTH, 1.0, None, None
    if len(labels) >= MIN_LABELS and len(torch.unique(folds)) > 1:
        answers = {s: _out_of_fold(x, labels, folds, s) for s in STRENGTHS}
        strength = min(answers, key=lambda s: calibrated_nll(answers[s], labels))
        logits = answers[strength]
        temperature = best_temperature(logits, labels)
        probabilities = torch.softmax(logits / temperature, dim=1)
        accuracy = float((logits.argmax(dim=1) == labels).double().mean())
        error = calibration_error(probabilities, labels)
    fit = fit_linear(x, labels, strength)
    counts = torch.bincount(labels, minlength=len(CLASSES)).tolist()
    return HeadFit(
        weight=fit.weight.float(),
        bias=fit.bias.float(),
        mean=fit.mean.float(),
        std=fit.std.float(),
        temperature=temperature,
        accuracy=accuracy,
        ece=error,
        labels=dict(zip(CLASSES, counts, strict=True)),
    )


def fit_linear(x: Tensor, labels: Tensor, strength: float) -> Linear:
    """Minimise mean cross-entropy + strength/2 |W|² over standardised (n, F) float64 `x`."""
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0)
    std = torch.where(std > 1e-6, std, torch.ones_like(std))
    z = (x - mean) / std
    weight = torch.zeros(len(CLASSES), x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(CLASSES), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=200,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(z @ weight.T + bias, labels)
        loss = loss + strength / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(objective)  # type: ignore[no-untyped-call]
    return Linear(weight.detach(), bias.detach(), mean, std)


def assign_folds(labels: Tensor, groups: Tensor) -> Tensor:
    """A fold for each label: groups stay whole, and each class spreads over the folds.

    Largest groups first, each to the fold that has fewest of its commonest class, then fewest
    labels: deterministic, and close to stratified.
    """
    counts = torch.zeros(FOLDS, len(CLASSES), dtype=torch.int64)
    folds = torch.zeros_like(labels)
    members = {int(g): (groups == g).nonzero()[:, 0] for g in torch.unique(groups)}
    for group in sorted(members, key=lambda g: (-len(members[g]), g)):
        rows = members[group]
        own = torch.bincount(labels[rows], minlength=len(CLASSES))
        common = int(own.argmax())
        fold = min(range(FOLDS), key=lambda f: (int(counts[f, common]), int(counts[f].sum()), f))
        folds[rows] = fold
        counts[fold] += own
    return folds


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least log-loss (Guo et al., 1706.04599), by golden section over log T."""
    low, high = torch.tensor(0.05).log().item(), torch.tensor(20.0).log().item()

    def loss(log_t: float) -> float:
        return float(F.cross_entropy(logits / torch.tensor(log_t).exp(), labels))

    for _ in range(40):
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return float(torch.tensor((low + high) / 2).exp())


def calibrated_nll(logits: Tensor, labels: Tensor) -> float:
    """Log-loss at the best temperature: strength and temperature then do not fight."""
    return float(F.cross_entropy(logits / best_temperature(logits, labels), labels))


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error of (n, classes) probabilities, as for served answers."""
    confidence, answer = probabilities.max(dim=1)
    answers = zip(confidence.tolist(), (answer == labels).tolist(), strict=True)
    return trust.calibration_error(answers) or 0.0


def _out_of_fold(x: Tensor, labels: Tensor, folds: Tensor, strength: float) -> Tensor:
    logits = torch.zeros(len(labels), len(CLASSES), dtype=torch.float64)
    for fold in torch.unique(folds):
        out = folds == fold
        logits[out] = fit_linear(x[~out], labels[~out], strength).logits(x[out])
    return logits
