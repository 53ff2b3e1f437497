"""Memory runs out: what then is left undone changes nothing, is counted, and said."""

import gc
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rvsense import link
from rvsense.learner import checkpoint, state
from rvsense.learner.batching import GIVE_UP, LEAST
from rvsense.learner.service import MOST_LET_GO
from rvsense.learner.shortage import ShortageError, is_shortage, within_memory
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair
from tests.learner.memory import CPU_SAYS, CUDA_SAYS, RunsOut
from tests.learner.test_checkpoint_service import start
from tests.learner.test_trainer import copy_of

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]
MakeLabel = Callable[[int], Label]


def digest(trainer: Trainer) -> str:
    """Of all that the next step depends on, the size of its batch and counts aside."""
    tables = {
        f"{name}.{column}": rows.take(column)
        for name, rows in state.tables(trainer).items()
        for column in rows.columns
    }
    return tensors_sha256(state.tensors(trainer) | tables)


def filled(trainer: Trainer, make_pair: MakePair, count: int = 12) -> Trainer:
    """The trainer, having taken so many pairs and a step."""
    for i in range(count):
        trainer.ingest(make_pair(i))
    trainer.train()
    return trainer


def runs_out(memory: RunsOut, work: Callable[[], Any]) -> bool:
    """Whether the work had no such memory, and said so."""
    try:
        with memory:
            work()
    except ShortageError:
        return True
    return False


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(CUDA_SAYS),
        RuntimeError(CPU_SAYS),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("f4")),  # type: ignore[attr-defined]
    ],
    ids=["cuda", "cpu", "c++", "cublas", "python", "numpy"],
)
def test_every_allocator_is_understood(error: Exception) -> None:
    """Whoever says it, however it says it: one error, with its words; what it held is free."""
    held: list[Any] = []

    def work() -> None:
        class Big:
            """What a step holds."""

            def __del__(self) -> None:
                held.pop()

        held.append(None)
        _big = Big()
        raise error

    assert is_shortage(error)
    with pytest.raises(ShortageError) as raised:
        within_memory(work)
    error.__traceback__ = None  # ours to hold, here alone
    assert str(raised.value)
    assert raised.value.__context__ is None
    assert held == []


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes differ")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    """What is no shortage is not taken for one."""

    def work() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        within_memory(work)


def test_whichever_allocation_of_a_step_fails_nothing_has_changed(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """For every n: weights, statistics, momentum, average, queue, pool and chance, to the bit."""
    all_terms = {"intra_modal": 0.5, "soft_targets": 0.4, "decoupled": True}
    trainer = filled(make_trainer(batch=2, **all_terms), make_pair)
    before = digest(trainer)
    for n in range(1, 2000):
        fresh = trainer.batch_size.state() | {"halvings": 0, "failures": 0}
        trainer.batch_size.load(fresh)
        memory = RunsOut(n)
        if runs_out(memory, trainer.train):
            assert digest(trainer) == before, f"allocation {n}"
            assert trainer.counters.short_steps == n
            assert trainer.counters.step == 1
            continue
        assert not memory.struck
        assert n > 150  # a step's worth of them, forward and back
        assert trainer.counters.step == 2
        return
    pytest.fail("never a clean step")


def test_what_a_failed_step_held_is_free(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """Also where it failed on the way back: autograd would keep half of it until the next one."""

    def held() -> int:
        tensors = [item for item in gc.get_objects() if issubclass(type(item), torch.Tensor)]
        return sum(item.numel() for item in tensors)

    trainer = filled(make_trainer(batch=4), make_pair)
    gc.collect()
    before, n = held(), 1
    while runs_out(RunsOut(n), trainer.train):
        gc.collect()
        assert held() <= before, f"allocation {n}"
        trainer.batch_size.halvings = trainer.batch_size.failures = 0
        n += 9
    assert n > 150


def test_the_step_after_is_that_of_half_a_batch(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """As if the one that ran out had never been tried: the same draw, cut in half."""
    ran_out, halved = (filled(make_trainer(batch=8), make_pair) for _ in range(2))
    random = torch.get_rng_state()
    for n in (1, 40, 120, 200):
        with RunsOut(n), pytest.raises(ShortageError):
            ran_out.train()
        halved.batch_size.fell_short()
        torch.set_rng_state(random)
        loss = ran_out.train().loss
        torch.set_rng_state(random)
        assert halved.train().loss == loss
        assert digest(ran_out) == digest(halved)
        assert ran_out.batch_size.now == max(8 >> ran_out.counters.short_steps, LEAST)


def test_a_restored_trainer_goes_on_with_the_smaller_batch(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """L4: the sizes to come, and so every loss, are those of the run that was never stopped."""
    trainer = filled(make_trainer(batch=8), make_pair)
    for n in (5, 50):
        with RunsOut(n), pytest.raises(ShortageError):
            trainer.train()
    trainer.batch_size.patience = 5  # to see it grow sooner
    fresh = make_trainer(batch=8)
    values = json.loads(json.dumps(state.values(trainer)))
    copy_of(trainer, fresh)
    fresh.batch_size.load(values["batch"])
    assert fresh.batch_size == trainer.batch_size
    random = torch.get_rng_state()
    losses = []
    for each in (trainer, fresh):
        torch.set_rng_state(random)
        losses.append([each.train().loss for _ in range(12)])
    assert losses[0] == losses[1]
    assert fresh.batch_size.now == trainer.batch_size.now == 8  # it has grown again


def test_a_checkpoint_of_before_there_were_sizes_is_taken(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Version 0.9 did not write them."""
    trainer, fresh = filled(make_trainer(), make_pair), make_trainer()
    values = state.values(trainer)
    del values["batch"]
    state.load(fresh, {k: v.clone() for k, v in state.tensors(trainer).items()}, values)
    assert fresh.batch_size.now == fresh.learning.batch


def test_whichever_allocation_of_a_pair_fails_only_the_pair_is_lost(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """For every n: it is counted, every row in the pool is whole, and the next pair is taken."""
    whole = make_trainer(heldout_pairs=0, pool_policy="fifo")
    keys = {}
    for i in range(8):
        whole.ingest(make_pair(i))
        keys[whole.pool.take("stamp")[i].item()] = whole.pool.take("key")[i].clone()
    inputs = {stamp: whole.pool.take("input")[i].clone() for i, stamp in enumerate(keys)}
    tried = make_trainer(heldout_pairs=0, pool_policy="fifo", pool_pairs=8)
    for i in range(8):
        tried.ingest(make_pair(i))
    for n in range(1, 2000):
        memory = RunsOut(n, RuntimeError)
        if not runs_out(memory, partial(tried.ingest, make_pair(n % 8))):
            assert not memory.struck
            assert n > 10
            break
        assert tried.counters.short_pairs == n
        assert tried.pool.fill == 8
        for i, stamp in enumerate(tried.pool.take("stamp").tolist()):
            assert torch.equal(tried.pool.take("key")[i], keys[stamp])
            assert torch.equal(tried.pool.take("input")[i], inputs[stamp])
    assert tried.counters.bad_images == 0
    assert tried.train().updated


def test_whichever_allocation_of_a_label_fails_only_the_label_is_lost(
    make_trainer: MakeTrainer, make_label: MakeLabel
) -> None:
    """For every n: it is counted, and the table of labels is as it was."""
    trainer = make_trainer()
    for i in range(4):
        trainer.add_label(make_label(3 * i))
    before = digest(trainer)
    for n in range(1, 500):
        if runs_out(RunsOut(n, RuntimeError), lambda: trainer.add_label(make_label(20))):
            assert digest(trainer) == before
            assert trainer.counters.short_labels == n
            continue
        assert n > 10
        assert len(trainer.labels) == 5
        return
    pytest.fail("never a clean label")


def test_a_service_says_so_and_goes_on(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, make_label: MakeLabel
) -> None:
    """A step, a pair and a label: each is said with what it was, counted, and acknowledged."""
    daemon = start(make_trainer(steps_per_pair=1.0, heldout_pairs=0), tmp_path)
    for i in range(8):
        daemon.say(link.pack_pair(make_pair(i)))
    trainer = daemon.service.trainer
    step = trainer.counters.step
    with RunsOut(3, RuntimeError):
        daemon.say(link.pack_pair(make_pair(8)))
    with RunsOut(3, RuntimeError):
        daemon.say(link.pack_label(make_label(8)))
    with pytest.MonkeyPatch.context() as patch:
        train = trainer._draw

        def draw_little_memory() -> Any:
            with RunsOut(2):
                return train()

        patch.setattr(trainer, "_draw", draw_little_memory)
        daemon.say(link.pack_pair(make_pair(9)))
    told = daemon.events("out_of_memory")
    assert [notice["during"] for notice in told] == ["pair", "label", "step"]
    assert told[0]["stamp_ns"] == make_pair(8).stamp_ns
    assert "can't allocate" in told[0]["detail"]
    assert (told[2]["batch"], told[2]["next_batch"], told[2]["step"]) == (6, 3, step)
    daemon.say(link.pack_pair(make_pair(10)))
    daemon.now += 1.0
    daemon.service.tick()
    assert [v for op, v in daemon.heard if op == "taken"][-1] == {"count": 12}
    figures = [v for op, v in daemon.heard if op == "figures"][-1]
    counted = {name: figures[name] for name in ("short_steps", "short_pairs", "short_labels")}
    assert counted == {"short_steps": 1, "short_pairs": 1, "short_labels": 1}
    assert (figures["batch"], figures["out_of_form"]) == (3, 0)
    assert trainer.counters.step == step + 1


def test_figures_that_do_not_fit_halve_the_batch_too(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is done and stays; what is made of its logits takes memory by the batch."""
    daemon = start(make_trainer(steps_per_pair=1.0, heldout_pairs=0), tmp_path)
    figures = daemon.service._stepping.figures

    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError(CUDA_SAYS)

    monkeypatch.setattr(figures, "take", no_memory)
    for i in range(8):
        daemon.say(link.pack_pair(make_pair(i)))
    trainer = daemon.service.trainer
    assert (trainer.counters.step, trainer.counters.short_steps) == (1, 1)
    assert trainer.batch_size.now == 3
    assert len(daemon.events("out_of_memory")) == 1


def test_models_and_checkpoints_that_do_not_fit_are_failures_of_theirs(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: said, counted, nothing left half, and training goes on."""
    daemon = start(make_trainer(steps_per_pair=1.0), tmp_path)

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save", no_memory)
        patch.setattr("rvsense.published.publish", no_memory)
        for i in range(16):
            daemon.now += 30.0
            daemon.say(link.pack_pair(make_pair(i)))
    failed = [v for op, v in daemon.heard if op == "checkpoint" and not v["ok"]]
    assert failed
    assert failed[0]["error"] == "MemoryError"
    assert daemon.events("publish_failed")[0]["detail"] == "MemoryError"
    assert daemon.service.trainer.counters.step > 5
    daemon.now += 100.0
    daemon.say(link.pack_pair(make_pair(16)))
    assert [v["ok"] for op, v in daemon.heard if op == "checkpoint"][-1]


def test_a_learner_that_can_take_no_pair_saves_and_ends(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before MOST_LET_GO in a row: whoever starts it again gives it memory of its own."""
    daemon = start(make_trainer(steps_per_pair=0.0), tmp_path)

    def no_memory(_: object) -> None:
        raise torch.OutOfMemoryError(CUDA_SAYS)

    teach = daemon.service.trainer.teacher.network.forward
    network = daemon.service.trainer.teacher.network
    for i in range(2 * MOST_LET_GO - 1):
        monkeypatch.setattr(network, "forward", teach if i == MOST_LET_GO - 1 else no_memory)
        daemon.say(link.pack_pair(make_pair(i)))
    assert daemon.service.trainer.counters.pairs == 1
    with pytest.raises(ShortageError, match=f"each of {MOST_LET_GO} pairs and labels in a row"):
        daemon.say(link.pack_pair(make_pair(i + 1)))
    newest = checkpoint.numbered(tmp_path / "checkpoints")[-1]
    saved = checkpoint.load(newest, daemon.service._keeper.fingerprint())
    assert saved.values["counters"]["short_pairs"] == 2 * MOST_LET_GO - 1


def test_a_learner_whose_least_batch_does_not_fit_saves_and_ends(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at once: after GIVE_UP steps in a row, with all pairs on disk for whoever comes next."""
    daemon = start(make_trainer(steps_per_pair=1.0, heldout_pairs=0), tmp_path)
    for i in range(10):
        daemon.say(link.pack_pair(make_pair(i)))
    trainer = daemon.service.trainer

    def no_memory() -> None:
        raise torch.OutOfMemoryError(CUDA_SAYS)

    monkeypatch.setattr(trainer, "_draw", no_memory)
    for i in range(10, 11 + GIVE_UP):
        daemon.say(link.pack_pair(make_pair(i)))
    with pytest.raises(ShortageError, match=r"also with 2 pairs a step.*learning\.pool_pairs"):
        daemon.say(link.pack_pair(make_pair(11 + GIVE_UP)))
    assert trainer.counters.short_steps == 2 + GIVE_UP  # 6, 3, then the least
    newest = checkpoint.numbered(tmp_path / "checkpoints")[-1]
    saved = checkpoint.load(newest, daemon.service._keeper.fingerprint())
    assert saved.values["counters"]["pairs"] == 10 + 2 + GIVE_UP
    again = start(make_trainer(steps_per_pair=1.0, heldout_pairs=0), tmp_path)
    again.say(link.pack_pair(make_pair(40)))
    assert again.service.trainer.batch_size.now == LEAST
    assert again.service.trainer.counters.step == trainer.counters.step + 1
