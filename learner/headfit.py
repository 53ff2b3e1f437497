"""The linear protocol, online: multinomial logistic regression on frozen features, calibrated.

Everything is float64, full batch and started from zero, so the same labels give the same head.
Strength and temperature are chosen, and accuracy and calibration error are measured, on
out-of-fold answers; folds keep groups (stretches of one recording) whole.

Few labels must not make sure answers. Three things see to it: one pseudo-label of each class at
the mean, so that a class nobody has labelled yet keeps a probability; the uncertainty of the
weights (Laplace's approximation), which grows where no label has been; and a temperature that
leaves 1 only as far as independent stretches of recording speak for it.
"""

import math
from dataclasses import dataclass, replace

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
TEMPERATURE_SPREAD = 0.5
"""Standard deviation of log T before any label. With .3, answers from 26 labels were 5 to 7 points
too unsure; with 1, those from 100 labels 1 to 4 too sure (three encoders)."""
CURVATURE = 0.15
"""p (1 - p) in the Laplace approximation: 3/16 of four classes when nothing is known, then less."""
RANK = 256
"""Directions of `known`: enough for every feature of `edge`, and a few MB with `paper`."""
_GOLDEN = (5**0.5 - 1) / 2


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
        # Frames of one stretch are near copies: stretches count as evidence, not frames.
        pull = 1 / (TEMPERATURE_SPREAD**2 * len(torch.unique(groups)))
        answers = _out_of_fold(x, labels, folds)
        strength = min(answers, key=lambda s: calibrated_loss(answers[s], labels, pull))
        logits = answers[strength]
        temperature = best_temperature(logits, labels, pull)
        probabilities = torch.softmax(logits / temperature, dim=1)
        accuracy = float((logits.argmax(dim=1) == labels).double().mean())
        error = calibration_error(probabilities, labels)
    head = _head(x, labels, strength, directions(x))
    return finished(head, labels, temperature=temperature, accuracy=accuracy, ece=error)


def finished(
    head: HeadFit,
    labels: Tensor,
    *,
    temperature: float,
    accuracy: float | None,
    ece: float | None,
) -> HeadFit:
    """The head in single precision, with what was measured and the count of its (n,) labels."""
    counts = torch.bincount(labels, minlength=len(CLASSES)).tolist()
    return replace(
        head,
        weight=head.weight.float(),
        bias=head.bias.float(),
        mean=head.mean.float(),
        std=head.std.float(),
        known=None if head.known is None else head.known.float(),
        temperature=temperature,
        accuracy=accuracy,
        ece=ece,
        labels=dict(zip(CLASSES, counts, strict=True)),
    )


def fit_linear(
    x: Tensor,
    targets: Tensor,
    strength: float,
    standard: tuple[Tensor, Tensor] | None = None,
) -> HeadFit:
    """Minimise mean cross-entropy + strength/2 |W|² over standardised (n, F) float64 `x`.

    `targets` are (n,) class indices, or (n, classes) probabilities. Beside them stands one of each
    class at the mean of the features. `standard`: mean and deviation to take in place of `x`'s own.
    """
    mean, std = standard or _standard(x)
    pseudo = torch.arange(len(CLASSES))
    z = torch.cat([(x - mean) / std, x.new_zeros(len(pseudo), x.shape[1])])
    if targets.is_floating_point():
        target = torch.cat([targets, F.one_hot(pseudo).to(targets)])
    else:
        target = torch.cat([targets, pseudo])
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
        loss = F.cross_entropy(z @ weight.T + bias, target, reduction="sum") / len(targets)
        loss = loss + strength / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(objective)  # type: ignore[no-untyped-call]
    return HeadFit(weight.detach(), bias.detach(), mean, std)


@dataclass(frozen=True, slots=True)
class Directions:
    """Principal directions (R, F) of n standardised labelled features, and variances (R,)."""

    vectors: Tensor
    variance: Tensor
    count: int

    def uncertainty(self, strength: float) -> tuple[Tensor, float]:
        """`known` and `doubt` of a head of that strength.

        The posterior covariance (CURVATURE ZᵀZ + n strength I)⁻¹ of each class's weights, all
        classes alike, written as doubt (I - knownᵀ known).
        """
        seen = CURVATURE * self.variance
        known = (seen / (seen + strength)).sqrt()[:, None] * self.vectors
        return known, 1 / (self.count * strength)


def directions(x: Tensor) -> Directions:
    """Of (n, F) float64 features; at most RANK of them, the strongest."""
    mean, std = _standard(x)
    _, spread, vectors = torch.linalg.svd((x - mean) / std, full_matrices=False)
    return Directions(vectors[:RANK], spread[:RANK].square() / len(x), len(x))


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


def best_temperature(logits: Tensor, labels: Tensor, pull: float = 0.0) -> float:
    """The temperature of least log-loss (Guo et al., 1706.04599), by golden section over log T.

    `labels` are classes or probabilities. `pull` · (log T)² / 2 is added to the mean log-loss: a
    prior around 1.
    """
    low, high = math.log(0.05), math.log(20.0)

    def loss(log_t: float) -> float:
        return _loss(logits, labels, math.exp(log_t), pull)

    for _ in range(40):
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return math.exp((low + high) / 2)


def calibrated_loss(logits: Tensor, labels: Tensor, pull: float) -> float:
    """What is least at the best temperature: strength and temperature then do not fight."""
    return _loss(logits, labels, best_temperature(logits, labels, pull), pull)


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error of (n, classes) probabilities, as for served answers."""
    confidence, answer = probabilities.max(dim=1)
    answers = zip(confidence.tolist(), (answer == labels).tolist(), strict=True)
    return trust.calibration_error(answers) or 0.0


def _out_of_fold(x: Tensor, labels: Tensor, folds: Tensor) -> dict[float, Tensor]:
    """Strength to the (n, classes) logits of heads that have not seen the row's fold."""
    answers = {s: torch.zeros(len(labels), len(CLASSES), dtype=torch.float64) for s in STRENGTHS}
    for fold in torch.unique(folds):
        out = folds == fold
        seen = directions(x[~out])
        for strength, logits in answers.items():
            logits[out] = _head(x[~out], labels[~out], strength, seen).moderated(x[out])
    return answers


def _head(x: Tensor, labels: Tensor, strength: float, seen: Directions) -> HeadFit:
    known, doubt = seen.uncertainty(strength)
    return replace(fit_linear(x, labels, strength), known=known, doubt=doubt)


def _loss(logits: Tensor, labels: Tensor, temperature: float, pull: float) -> float:
    loss = float(F.cross_entropy(logits / temperature, labels))
    return loss + pull * math.log(temperature) ** 2 / 2


def _standard(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (F,); a feature that never varies is left as it is."""
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0)
    return mean, torch.where(std > 1e-6, std, torch.ones_like(std))
