"""A trainer as plain tensors and values, and back: what a checkpoint holds (L4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from rvsense.learner import chance
from rvsense.learner.rows import Rows
from rvsense.learner.trainer import Counters, Trainer
from rvsense.wire import INT64_MAX

NETWORK = ("encoder", "average", "momentum", "queue")
"""The parts that a roll-back puts back."""


def tables(trainer: Trainer) -> dict[str, Rows]:
    """The large tables, saved in chunks."""
    return {
        "pool": trainer.pool,
        "ring": trainer.ring,
        "labels": trainer.labels.rows,
        "pseudo": trainer.pseudo.rows,
        "sightings": trainer.sightings.rows,
    }


def tensors(trainer: Trainer) -> dict[str, Tensor]:
    """Everything else that is a tensor."""
    parts = {
        "encoder": trainer.encoder.state_dict(),
        "average": trainer.average.encoder.state_dict(),
        "momentum": _momentum(trainer),
        "queue": trainer.queue.state(),
        "policy": trainer.policy.state(),
        "scale": trainer.scale.state(),
        "backgrounds": trainer.backgrounds.state(),
        "random": chance.state_of(trainer.generator, trainer.device),
    }
    if trainer.collation is not None:
        parts["collation"] = trainer.collation.state()
    return {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, items in parts.items()
        for name, value in items.items()
    }


def values(trainer: Trainer) -> dict[str, Any]:
    """Everything that is a number or a name."""
    found = {} if trainer.collation is None else dict(trainer.collation.counts)
    return {
        "counters": asdict(trainer.counters),
        "collation": found,
        "precision": trainer.learning.precision,
        "batch": trainer.batch_size.state(),
    }


def load(trainer: Trainer, saved: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Continue where `tensors` and `values` were taken; the tables are loaded before.

    Raises:
        KeyError, RuntimeError, TypeError: when they are of another trainer, or no counts.
    """
    load_network(trainer, saved)
    # The pool's own keys, for a policy that needs them after one that kept none.
    trainer.policy.load({"keys": trainer.pool.take("key")} | _part(saved, "policy"))
    other_scale = trainer.scale.load(_part(saved, "scale"))
    backgrounds = _part(saved, "backgrounds")  # none in a checkpoint before version 0.2
    if (backgrounds and trainer.backgrounds.load(backgrounds)) or other_scale:
        trainer.forget(None)
    chance.restore(trainer.generator, trainer.device, _part(saved, "random"))
    trainer.counters = Counters(**counts(facts["counters"]))
    if "batch" in facts:  # none in a checkpoint before version 1.0
        trainer.batch_size.load(counts(facts["batch"]))
    found = _part(saved, "collation")
    if trainer.collation is not None and found:  # none where the run before had no detector
        trainer.collation.load(found)
        trainer.collation.counts.update(counts(facts["collation"]))


@contextmanager
def all_or_nothing(trainer: Trainer) -> Iterator[None]:
    """What the block loads into a trainer that is new, with empty tables, goes where it raises."""
    before = {name: value.clone() for name, value in tensors(trainer).items()}
    facts = values(trainer)
    try:
        yield
    except Exception:
        for rows in tables(trainer).values():
            rows.clear()
        load(trainer, before, facts)
        raise


def roll_back(trainer: Trainer, saved: Mapping[str, Tensor]) -> None:
    """Put back the network alone (L5).

    Pool, labels, counters and random state go on from where they are: the pairs are not to
    blame, and other draws are the way past the batch that was. So do backgrounds and scale of
    the keys, and keys in the queue from before these changed are forgotten.
    """
    load_network(trainer, saved)
    if backgrounds := _part(saved, "backgrounds"):
        for site in trainer.backgrounds.renewed_since(backgrounds):
            trainer.forget(site)
    if trainer.scale.frozen_since(_part(saved, "scale")):
        trainer.forget(None)


def load_network(trainer: Trainer, saved: Mapping[str, Tensor]) -> None:
    """Only the weights, their average, the optimiser and the queue, on all ranks."""
    trainer.encoder.load_state_dict(_part(saved, "encoder"), strict=True)
    trainer.average.encoder.load_state_dict(_part(saved, "average"), strict=True)
    momentum = _part(saved, "momentum")
    for i, parameter in enumerate(trainer.encoder.parameters()):
        buffer = trainer.optimiser.state.get(parameter, {}).get("momentum_buffer")
        if buffer is None:
            continue
        if str(i) in momentum:
            buffer.copy_(momentum[str(i)])
        else:
            buffer.zero_()
    trainer.queue.load(_part(saved, "queue"))
    trainer.world.lead_load({k: v for k, v in saved.items() if k.split(".")[0] in NETWORK})


def counts(saved: Any) -> Mapping[str, int]:
    """The same, each of them a whole number that something can be added to.

    Raises:
        TypeError: one is not, or there is no map of them.
    """
    if not isinstance(saved, Mapping):
        raise TypeError(f"{saved!r} where counts should be")
    for name, value in saved.items():
        if type(value) is not int or not 0 <= value <= INT64_MAX:
            raise TypeError(f"{name} is {value!r}, and no count")
    return saved


def is_finite(saved: Mapping[str, Tensor]) -> bool:
    """Whether all that a roll-back would put back can be learned from."""
    return all(
        bool(torch.isfinite(value).all())
        for name, value in saved.items()
        if name.split(".")[0] in NETWORK
    )


def _momentum(trainer: Trainer) -> dict[str, Tensor]:
    state = trainer.optimiser.state
    return {
        str(i): state[p]["momentum_buffer"]
        for i, p in enumerate(trainer.encoder.parameters())
        if state.get(p, {}).get("momentum_buffer") is not None
    }


def _part(saved: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {
        name[len(part) + 1 :]: value for name, value in saved.items() if name.startswith(part + ".")
    }
