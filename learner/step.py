"""One training step, in the order of the paper (IV-A): encode radar, contrast, update, enqueue."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.encoders import RadarEncoder
from rvsense.learner.loss import info_nce
from rvsense.learner.objective import Objective
from rvsense.learner.queue import KeyQueue


@dataclass(frozen=True, slots=True)
class Batch:
    """n pairs drawn from the pool."""

    x: Tensor
    """(n, C, 128, 128) radar inputs."""
    keys: Tensor
    """(n, D) unit keys, the positives."""
    stamps: Tensor
    """(n,) capture times of the inputs in ns."""
    key_stamps: Tensor
    """(n,) capture times of the keys in ns."""
    places: Tensor
    """(n,) place, of input and key alike."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step saw. `updated` is False when it was not finite and changed nothing."""

    updated: bool
    loss: float
    queries: Tensor
    logits: Tensor


def train_step(
    encoder: RadarEncoder,
    optimiser: torch.optim.Optimizer,
    queue: KeyQueue,
    batch: Batch,
    objective: Objective,
) -> Outcome:
    """Update the encoder on one batch and remember its keys as negatives of later ones.

    A loss or gradient that is not finite updates nothing, normalisation statistics
    included (L5).
    """
    buffers = [buffer.clone() for buffer in encoder.buffers()]
    q = F.normalize(encoder(batch.x), dim=1)  # (n, D)
    admissible = queue.admissible(batch.stamps, batch.places, objective.exclusion_ns)  # (n, K)
    contrast = info_nce(q, batch.keys, queue.keys, admissible, objective.temperature)
    optimiser.zero_grad(set_to_none=True)
    contrast.loss.backward()  # type: ignore[no-untyped-call]
    updated = math.isfinite(contrast.loss.item()) and _finite_gradients(encoder)
    if updated:
        optimiser.step()
    else:
        for buffer, before in zip(encoder.buffers(), buffers, strict=True):
            buffer.copy_(before)
    queue.enqueue(batch.keys, batch.key_stamps, batch.places)
    return Outcome(updated, contrast.loss.item(), q.detach(), contrast.logits.detach())


def _finite_gradients(encoder: RadarEncoder) -> bool:
    sums = [p.grad.sum() for p in encoder.parameters() if p.grad is not None]
    return bool(torch.isfinite(torch.stack(sums)).all()) if sums else True
