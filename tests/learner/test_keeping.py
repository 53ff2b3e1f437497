"""Ways back to a checkpoint: the whole of one, or nothing of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import link
from rvsense.learner import checkpoint, state
from rvsense.learner.keeping import Keeper
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

MakeTrainer = Callable[..., Trainer]
Spoil = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


def keeper_of(trainer: Trainer, root: Path) -> tuple[Keeper, list[str]]:
    """A keeper, and the events that it gives notice of."""
    events: list[str] = []

    def say(message: list[Any]) -> None:
        op, values, _ = link.unpack(message)
        if op == "notice":
            events.append(values["event"])

    return Keeper(trainer, root, "digest", say), events


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values, _: values.pop("published"),
        lambda values, _: values["counters"].update(of_a_later_version=1),
        lambda _, tensors: tensors.pop("random.generator"),
        lambda _, tensors: tensors.update({"random.torch": torch.zeros(3)}),
        lambda _, tensors: tensors.pop("policy.seen"),
    ],
)
def test_a_checkpoint_whose_last_part_is_wrong_leaves_nothing_behind(
    tmp_path: Path,
    make_trainer: MakeTrainer,
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    spoil: Spoil,
) -> None:
    """No table, weight, key, draw or count of it stays; the next steps are a new trainer's."""
    learned, new, restored = (make_trainer(standardise_keys=True) for _ in range(3))
    for i in range(20):
        learned.ingest(make_pair(i))
    learned.add_label(make_label(0))
    learned.train()
    tensors, values = state.tensors(learned), state.values(learned) | {"published": [1, 0]}
    spoil(values, tensors)
    keeper, events = keeper_of(restored, tmp_path)
    checkpoint.save(
        tmp_path,
        fingerprint=keeper.fingerprint(),
        values=values,
        tensors=tensors,
        tables=state.tables(learned),
        keep=2,
    )
    random_state = torch.get_rng_state()
    assert keeper.restore() is None
    assert events == ["checkpoint_refused"]
    assert torch.equal(torch.get_rng_state(), random_state)
    assert state.values(restored) == state.values(new)
    assert all(rows.fill == 0 for rows in state.tables(restored).values())
    for trainer in (new, restored):
        for i in range(20):
            trainer.ingest(make_pair(i))
    losses = [[trainer.train().loss for _ in range(3)] for trainer in (new, restored)]
    assert losses[0] == losses[1]


def test_a_whole_one_is_taken_where_the_newest_does_not_fit(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: Callable[[int], Pair]
) -> None:
    """The one before comes back as if the newest had never been tried."""
    learned, restored = make_trainer(), make_trainer()
    keeper, _ = keeper_of(learned, tmp_path)
    for i in range(12):
        learned.ingest(make_pair(i))
    learned.train()
    keeper.save((1, 0))
    kept = {name: value.clone() for name, value in state.tensors(learned).items()}
    for i in range(12, 20):
        learned.ingest(make_pair(i))
    checkpoint.save(
        tmp_path,
        fingerprint=keeper.fingerprint(),
        values=state.values(learned),  # nothing says what had been published
        tensors=state.tensors(learned),
        tables=state.tables(learned),
        keep=2,
    )
    back, events = keeper_of(restored, tmp_path)
    assert back.restore() == (1, 0)
    assert events == ["checkpoint_refused"]
    assert restored.counters.pairs == 12
    found = state.tensors(restored)
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], value) for name, value in kept.items())


def wreck(root: Path, table: str) -> None:
    """Flip a byte in each chunk of a table of the newest checkpoint."""
    manifest = json.loads((checkpoint.numbered(root)[-1] / "manifest.json").read_text())
    for digest in manifest["chunks"][table]:
        data = bytearray((root / "chunks" / digest).read_bytes())
        data[len(data) // 2] ^= 1
        (root / "chunks" / digest).write_bytes(data)


@pytest.mark.parametrize("policy", ["reservoir", "fifo", "min_redundancy"])
def test_damaged_rows_that_all_checkpoints_share_cost_their_table_alone(
    tmp_path: Path,
    make_trainer: MakeTrainer,
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    policy: str,
) -> None:
    """Weights, counts and labels go on; the pool is empty, fills anew and is learned from."""
    learned, restored = (make_trainer(pool_policy=policy) for _ in range(2))
    keeper, _ = keeper_of(learned, tmp_path)
    for i in range(20):
        learned.ingest(make_pair(i))
        learned.add_label(make_label(i))
    for _ in range(2):
        learned.train()
        keeper.save((1, 0))
    wreck(tmp_path, "pool")
    back, events = keeper_of(restored, tmp_path)
    assert back.restore() == (1, 0)
    assert events == ["checkpoint_refused", "checkpoint_refused", "checkpoint_incomplete"]
    fills = {name: rows.fill for name, rows in state.tables(restored).items()}
    assert fills == {name: rows.fill for name, rows in state.tables(learned).items()} | {"pool": 0}
    weights = (tensors_sha256(t.encoder.state_dict()) for t in (learned, restored))
    assert len(set(weights)) == 1
    assert restored.counters == learned.counters
    assert back.unsaved
    assert not restored.ready
    for i in range(20, 60):
        restored.ingest(make_pair(i))
    assert restored.pool.fill == restored.pool.capacity
    assert restored.train().updated
    back.save((1, 0))
    again, events = keeper_of(make_trainer(pool_policy=policy), tmp_path)
    assert again.restore() == (1, 0)
    assert events == []


def test_a_roll_back_needs_no_rows(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: Callable[[int], Pair]
) -> None:
    """It puts back the weights alone: damage among the pairs is not in its way."""
    trainer = make_trainer()
    keeper, events = keeper_of(trainer, tmp_path)
    for i in range(12):
        trainer.ingest(make_pair(i))
    keeper.save((0, 0))
    weights = tensors_sha256(trainer.encoder.state_dict())
    wreck(tmp_path, "pool")
    trainer.train()
    keeper.roll_back()
    assert events == ["rolled_back"]
    assert tensors_sha256(trainer.encoder.state_dict()) == weights
