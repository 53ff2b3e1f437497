"""Networks taught with labels: fine-tuning from pre-trained features, and the supervised baseline.

Both are this one function from different initial encoders, so that augmentation, weight decay,
averaging and early stopping are the same for both and only the start differs. The classifier
is features, a layer of 128 (the paper's penultimate one, Fig. 7), and a softmax over classes.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rvsense.encoders import RadarEncoder
from rvsense.frames import CLASSES
from rvsense.learner.augment import Augmentation, augment
from rvsense.learner.averaging import Average
from rvsense.learner.headfit import FOLDS, assign_folds
from rvsense.learner.offline.samples import Samples

PENULTIMATE = 128
VALIDATION_MIN = 160
"""With fewer labels none are set aside: a fifth of them would cost more than stopping saves."""
EVALUATION_BATCH = 64


@dataclass(frozen=True, slots=True)
class Teaching:
    """How long and how hard a network is taught with labels."""

    epochs: int
    least_steps: int = 300
    """Few labels make short epochs; then there are more of them."""
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    average_share: float = 0.1
    """Horizon of the averaged weights, as a share of the run."""
    augmented: bool = True


@dataclass(slots=True)
class Curve:
    """What was measured at the end of each epoch on the test side, and at the epoch kept."""

    epochs: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    """Log-loss on the labels set aside; empty with few labels."""
    kept: int = -1
    """Index of the epoch whose weights are kept: least validation loss, else the last."""


class Classifier(nn.Module):
    """A radar encoder with the paper's downstream head."""

    def __init__(self, encoder: RadarEncoder, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.penultimate = nn.Linear(encoder.feature_dim, PENULTIMATE)
            self.last = nn.Linear(PENULTIMATE, len(CLASSES))

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to the (n, 128) penultimate features."""
        return F.relu(self.penultimate(self.encoder.features(x)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, 128, 128) to (n, 4) logits."""
        logits: Tensor = self.last(self.embed(x))
        return logits


def teach(
    encoder: RadarEncoder,
    data: Samples,
    train: Tensor,
    test: Tensor,
    *,
    how: Teaching,
    seed: int,
    device: torch.device,
    tell: Callable[[float], None] = lambda _: None,
) -> tuple[Classifier, Curve]:
    """Teach a copy of `encoder` the labels of the `train` rows; measure on the `test` rows.

    Returns:
        The averaged network of the epoch kept, and the curve. The test side decides nothing.
        `tell` is told the share of the work done since the last call.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = Classifier(copy.deepcopy(encoder).requires_grad_(True), seed).to(device)
    train, aside = set_aside(train, data)
    each = max(len(train) // how.batch, 1)
    epochs = max(how.epochs, math.ceil(how.least_steps / each))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
    )
    average = Average(network, round(how.average_share * epochs * each * how.batch))
    # Few labels make many short epochs: the curve has fewer than twice the points asked for.
    measured = set(range(epochs - 1, -1, -max(epochs // max(how.epochs, 1), 1)))
    curve, best, kept = Curve(), math.inf, average.encoder
    step = 0
    for epoch in range(epochs):
        network.train()
        order = train[torch.randperm(len(train), generator=generator)]
        for rows in torch.split(order[: each * how.batch], how.batch):
            for group in optimiser.param_groups:
                group["lr"] = how.learning_rate * _cosine(step, each * epochs)
            x = data.inputs[rows].float()
            if how.augmented:
                x = augment(x, Augmentation(), generator)
            optimiser.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(x.to(device)), data.labels[rows].to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
            tell(1.0 / (each * epochs))
            average.follow(network, step, how.batch)
        if epoch not in measured:
            continue
        log_loss, accuracy = measure(average.encoder, data, test)
        curve.epochs.append(epoch + 1)
        curve.loss.append(log_loss)
        curve.accuracy.append(accuracy)
        if len(aside):
            curve.validation.append(measure(average.encoder, data, aside)[0])
            if curve.validation[-1] < best:
                best, curve.kept = curve.validation[-1], len(curve.epochs) - 1
                kept = copy.deepcopy(average.encoder)
    if not len(aside):
        curve.kept, kept = len(curve.epochs) - 1, average.encoder
    return kept, curve


def set_aside(train: Tensor, data: Samples) -> tuple[Tensor, Tensor]:
    """Training rows, and a fifth of them for early stopping; no sequence is in both.

    None are set aside where that would take a class from either, since few sequences show it.
    """
    labels = data.labels[train]
    if len(train) >= VALIDATION_MIN:
        folds = assign_folds(labels, data.sequences[train])
        for fold in range(FOLDS):
            aside = folds == fold
            if all(len(torch.unique(labels[side])) == len(CLASSES) for side in (aside, ~aside)):
                return train[~aside], train[aside]
    return train, train[:0]


@torch.inference_mode()
def logits_of(network: Classifier, data: Samples, rows: Tensor) -> Tensor:
    """(m, 4) logits of the given rows, on the CPU."""
    device = network.last.weight.device
    parts = [
        network(data.inputs[r].float().to(device)) for r in torch.split(rows, EVALUATION_BATCH)
    ]
    return torch.cat(parts).cpu()


def measure(network: Classifier, data: Samples, rows: Tensor) -> tuple[float, float]:
    """Log-loss in nats and accuracy on the given rows."""
    logits, labels = logits_of(network, data, rows), data.labels[rows]
    accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return float(F.cross_entropy(logits, labels)), float(accuracy)


def _cosine(step: int, total: int) -> float:
    warmup = max(total // 20, 1)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))
