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


def descent(
    encoder: RadarEncoder, *, rate: float, momentum: float, weight_decay: float
) -> torch.optim.SGD:
    """SGD for `train_step`, with its momentum in memory from the start."""
    # The decay is ours to add: SGD would take memory for it, at the moment of the change.
    group = {"params": list(encoder.parameters()), "decay": weight_decay}
    optimiser = torch.optim.SGD([group], lr=rate, momentum=momentum)
    for parameter in encoder.parameters() if momentum else ():
        optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimiser


def train_step(
    encoder: RadarEncoder,
    optimiser: torch.optim.SGD,
    queue: KeyQueue,
    batch: Batch,
    objective: Objective,
    *,
    world: World = ALONE,
    dtype: torch.dtype = torch.float32,
    stage: Callable[[str, Tensor], Tensor] = lambda _, tensor: tensor,
) -> Outcome:
    """Update the encoder on one batch and remember its keys as negatives of later ones.

    Convolutions are computed in `dtype`; weights, statistics and loss are float32.
    In a `world` of several ranks each takes this step with the same batch.
    A loss or gradient that is not finite updates nothing, normalisation statistics
    included (L5). All that takes memory comes before the first change: a step that runs out of
    it has changed nothing, on any rank.

    Args:
        optimiser: as `descent` makes it.
        stage: takes the tensors of the batch, by their names, to the device.

    Raises:
        ShortageError: memory ran out.
    """
    before: list[Tensor] = []

    def keep_buffers() -> None:
        before[:] = [buffer.clone() for buffer in encoder.buffers()]

    def work() -> tuple[Batch, Outcome]:
        keep_buffers()
        there = Batch(**{name: stage(name, part) for name, part in batch.tensors().items()})
        with _precision(encoder, dtype):
            q, q_other = _queries(encoder, there, world)  # (n, D) each
        loss, logits = _contrast(q, q_other, there, queue, objective)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        logits = logits.detach()
        info_nce = loss if objective.is_equation_1 else equation_1(logits)
        seen = loss.item(), info_nce.item(), q.detach(), logits
        world.reduce(encoder)
        return there, Outcome(math.isfinite(seen[0]) and _finite_gradients(encoder), *seen)

    def motions() -> None:
        if not before:
            keep_buffers()
        optimiser.zero_grad(set_to_none=True)
        with _precision(encoder, dtype):
            views = 1 if batch.other_view is None else 2
            world.go_through(encoder, stage("x", batch.x[:1]), views * len(batch.x))

    updated = False
    try:
        there, outcome = world.attempt(work, motions)
        updated = outcome.updated
    finally:
        if not updated:
            for buffer, value in zip(encoder.buffers() if before else (), before, strict=True):
                buffer.copy_(value)
            optimiser.zero_grad(set_to_none=True)
    if updated:
        _descend(optimiser)
    queue.enqueue(there.keys, there.key_stamps, there.places)
    return outcome


def _contrast(
    q: Tensor, q_other: Tensor | None, batch: Batch, queue: KeyQueue, objective: Objective
) -> tuple[Tensor, Tensor]:
    """What is minimised, and the (n, 1 + K) logits of queries against key and queue."""
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
    return loss, logits


def _precision(encoder: RadarEncoder, dtype: torch.dtype) -> torch.autocast:
    device = next(encoder.parameters()).device.type
    return torch.autocast(device, dtype, enabled=dtype != torch.float32)


@torch.no_grad()
def _descend(optimiser: torch.optim.SGD) -> None:
    """A step of the optimiser, all in place."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.add_(parameter, alpha=group["decay"])
    optimiser.step()


def _queries(encoder: RadarEncoder, batch: Batch, world: World) -> tuple[Tensor, Tensor | None]:
    """Unit queries of the batch and of its other view; one pass, so one set of statistics."""
    if batch.other_view is None:
        return F.normalize(world.encode(encoder, batch.x).float(), dim=1), None
    both = world.encode(encoder, torch.cat([batch.x, batch.other_view]))
    both = F.normalize(both.float(), dim=1)
    return both[: len(batch.x)], both[len(batch.x) :]


def _finite_gradients(encoder: RadarEncoder) -> bool:
    sums = [p.grad.sum() for p in encoder.parameters() if p.grad is not None]
    return bool(torch.isfinite(torch.stack(sums)).all()) if sums else True
