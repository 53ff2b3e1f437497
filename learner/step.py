"""One training step, in the order of the paper (IV-A): encode radar, contrast, update, enqueue."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.encoders import RadarEncoder
from rvsense.learner.loss import equation_1, intra_modal, similarity
from rvsense.learner.objective import Objective
from rvsense.learner.queue import KeyQueue, near_in_time
from rvsense.learner.world import ALONE, World


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
    other_view: Tensor | None = None
    """The inputs augmented a second time, for the intra-modal term."""

    def tensors(self) -> dict[str, Tensor]:
        """What there is, by the names of the fields."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor changed: moved to a device, or cut to a share of rows."""
        other_view = None if self.other_view is None else change(self.other_view)
        return Batch(
            change(self.x),
            change(self.keys),
            change(self.stamps),
            change(self.key_stamps),
            change(self.places),
            other_view,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step saw. `updated` is False when it was not finite and changed nothing."""

    updated: bool
    loss: float
    """What was minimised."""
    info_nce: float
    """Eq. (1) in nats, whatever was minimised: it bounds the mutual information."""
    queries: Tensor
    logits: Tensor


def train_step(
    encoder: RadarEncoder,
    optimiser: torch.optim.Optimizer,
    queue: KeyQueue,
    batch: Batch,
    objective: Objective,
    *,
    world: World = ALONE,
) -> Outcome:
    """Update the encoder on one batch and remember its keys as negatives of later ones.

    In a `world` of several ranks each takes this step with the same batch.
    A loss or gradient that is not finite updates nothing, normalisation statistics
    included (L5).
    """
    buffers = [buffer.clone() for buffer in encoder.buffers()]
    q, q_other = _queries(encoder, batch, world)  # (n, D) each
    admissible = queue.admissible(  # (n, K)
        batch.stamps, batch.places, objective.exclusion_ns, same_site=objective.same_site
    )
    logits = similarity(q, batch.keys, queue.keys, admissible, objective.temperature)
    loss = objective.cross_modal(logits, batch.keys, queue.keys, admissible)
    if q_other is not None:
        near = near_in_time(
            batch.stamps, batch.places, batch.stamps, batch.places, objective.exclusion_ns
        )
        views = intra_modal(q, q_other, near, objective.intra_temperature)
        loss = loss + objective.intra_modal * views
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    world.reduce(encoder)
    updated = math.isfinite(loss.item()) and _finite_gradients(encoder)
    if updated:
        optimiser.step()
    else:
        for buffer, before in zip(encoder.buffers(), buffers, strict=True):
            buffer.copy_(before)
    queue.enqueue(batch.keys, batch.key_stamps, batch.places)
    logits = logits.detach()
    return Outcome(updated, loss.item(), equation_1(logits).item(), q.detach(), logits)


def _queries(encoder: RadarEncoder, batch: Batch, world: World) -> tuple[Tensor, Tensor | None]:
    """Unit queries of the batch and of its other view; one pass, so one set of statistics."""
    if batch.other_view is None:
        return F.normalize(world.encode(encoder, batch.x), dim=1), None
    both = F.normalize(world.encode(encoder, torch.cat([batch.x, batch.other_view])), dim=1)
    return both[: len(batch.x)], both[len(batch.x) :]


def _finite_gradients(encoder: RadarEncoder) -> bool:
    sums = [p.grad.sum() for p in encoder.parameters() if p.grad is not None]
    return bool(torch.isfinite(torch.stack(sums)).all()) if sums else True
