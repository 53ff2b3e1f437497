"""A learner and its checkpoints: continued, fallen back to, announced, and never of what is bad."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import link
from rvsense.learner import checkpoint
from rvsense.learner.service import EARLY_MESSAGES, Service
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair
from tests.learner.damage import FailingDisk, damage_tensors

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]


class Daemon:
    """The other end of a service's link, with a clock that stands still."""

    def __init__(self, trainer: Trainer, state_dir: Path) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.now = 0.0
        self.service = Service(trainer, state_dir, self._hear, lambda: self.now, owned=True)

    def _hear(self, identity: bytes, message: list[Any]) -> bool:
        op, values, _ = link.unpack(message)
        self.heard.append((op, values))
        return True

    def say(self, message: list[Any]) -> None:
        """Deliver one message."""
        self.service.hear(b"1", message)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Notices of that event."""
        return [v for op, v in self.heard if op == "notice" and v["event"] == name]


def start(trainer: Trainer, state_dir: Path) -> Daemon:
    """A service that has been greeted in lock-step."""
    daemon = Daemon(trainer, state_dir)
    daemon.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
    return daemon


def test_restart_continues_where_it_was(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """A learner stopped and started anew ends with the weights of one that never stopped."""
    whole, parts = start(make_trainer(steps_per_pair=1.0), tmp_path / "whole"), None
    for first, last in ((0, 25), (25, 40)):
        random_state = torch.get_rng_state()
        parts = start(make_trainer(steps_per_pair=1.0), tmp_path / "parts")
        for i in range(first, last):
            parts.say(link.pack_pair(make_pair(i)))
        parts.say(link.pack("stop"))
        torch.set_rng_state(random_state)
    for i in range(40):
        whole.say(link.pack_pair(make_pair(i)))
    assert parts is not None
    assert parts.heard[0][1]["restored"] is True
    ends = [d.service.trainer for d in (whole, parts)]
    assert ends[0].counters.step == ends[1].counters.step
    assert len({tensors_sha256(t.encoder.state_dict()) for t in ends}) == 1
    assert len({tensors_sha256(t.average.encoder.state_dict()) for t in ends}) == 1


def test_corrupt_checkpoint_falls_back(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """The damaged newest checkpoint is refused by name and the one before it used."""
    daemon = start(make_trainer(), tmp_path)
    for i in range(20):
        daemon.say(link.pack_pair(make_pair(i)))
        if i == 12:
            daemon.now = 1000.0
    daemon.say(link.pack("stop"))
    *_, before, newest = checkpoint.numbered(tmp_path / "checkpoints")
    step = checkpoint.load(before, daemon.service._keeper.fingerprint()).values["counters"]["step"]
    damage_tensors(newest)
    again = start(make_trainer(), tmp_path)
    assert [v["path"] for v in again.events("checkpoint_refused")] == [str(newest)]
    assert again.heard[0][1] == again.heard[0][1] | {"step": step, "restored": True}
    assert [v["checkpoints_refused"] for op, v in again.heard if op == "figures"][-1] == 1
    assert 0 < step < daemon.service.trainer.counters.step


def test_checkpoint_of_another_run_is_set_aside(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair, settings: Any
) -> None:
    """Work of another teacher is neither used nor lost, and that is said."""
    daemon = start(make_trainer(), tmp_path)
    for i in range(12):
        daemon.say(link.pack_pair(make_pair(i)))
    daemon.say(link.pack("stop"))
    other = make_trainer()
    with torch.no_grad():
        other.teacher.network.layer.weight += 1  # type: ignore[union-attr,operator]
    again = start(other, tmp_path)
    (notice,) = again.events("checkpoints_set_aside")
    assert "teacher toy" in notice["detail"]
    assert len(checkpoint.numbered(Path(notice["to"]))) == 2
    assert again.heard[0][1]["step"] == 0


def test_full_disk_is_announced_and_training_goes_on(
    tmp_path: Path,
    make_trainer: MakeTrainer,
    make_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a checkpoint nor a model can be written: both are said, no pair is lost."""
    daemon = start(make_trainer(), tmp_path)
    monkeypatch.setattr(os, "fsync", FailingDisk(os.fsync, 0))
    for i in range(30):
        daemon.now += 30.0
        daemon.say(link.pack_pair(make_pair(i)))
    failed = [v for op, v in daemon.heard if op == "checkpoint" and not v["ok"]]
    assert failed
    assert "No space left" in failed[0]["error"]
    assert daemon.events("publish_failed")
    assert [v for op, v in daemon.heard if op == "taken"][-1] == {"count": 30}
    assert daemon.service.trainer.counters.step > 5


def spoil(trainer: Trainer) -> None:
    """Make the first weights of the encoder NaN."""
    with torch.no_grad():
        next(trainer.encoder.parameters()).fill_(float("nan"))


def test_what_is_not_finite_is_not_saved(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Neither the clock nor the stop saves bad weights or a run of bad steps; the stop says so."""
    daemon = start(make_trainer(steps_per_pair=0.0), tmp_path)
    trainer, root = daemon.service.trainer, tmp_path / "checkpoints"
    daemon.say(link.pack_pair(make_pair(0)))
    trainer.counters.nonfinite_in_a_row = 1
    daemon.now += 1000.0
    daemon.service.tick()
    assert len(checkpoint.numbered(root)) == 1
    trainer.counters.nonfinite_in_a_row = 0
    daemon.service.tick()
    saved = checkpoint.numbered(root)
    assert len(saved) == 2
    spoil(trainer)
    daemon.say(link.pack_pair(make_pair(1)))
    daemon.now += 1000.0
    daemon.service.tick()
    daemon.say(link.pack("stop"))
    assert len(daemon.events("checkpoint_not_finite")) == 1
    assert checkpoint.numbered(root) == saved


def test_a_checkpoint_that_is_not_finite_is_passed_over(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Roll-back and restart refuse it by name and take the one before."""
    daemon = start(make_trainer(max_nonfinite_steps=1, steps_per_pair=1.0), tmp_path)
    trainer = daemon.service.trainer
    for i in range(12):
        daemon.say(link.pack_pair(make_pair(i)))
    daemon.service._save()
    spoil(trainer)
    daemon.service._save()  # as a version without the rule did
    good, bad = checkpoint.numbered(tmp_path / "checkpoints")
    daemon.say(link.pack_pair(make_pair(12)))
    assert [v["path"] for v in daemon.events("checkpoint_refused")] == [str(bad)]
    assert [v["to"] for v in daemon.events("rolled_back")] == [str(good)]
    again = start(make_trainer(), tmp_path)
    assert [v["path"] for v in again.events("checkpoint_refused")] == [str(bad)]
    assert again.heard[0][1]["restored"] is True


def test_a_long_wait_for_the_daemon_leaves_only_what_matters(
    tmp_path: Path, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before hello no figures pile up and failed checkpoints stay few; fresh figures follow."""
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", FailingDisk(os.fsync, 0))
        daemon = Daemon(make_trainer(), tmp_path)
        for _ in range(100):
            daemon.now += 100.0
            daemon.service.tick()
    assert daemon.heard == []
    daemon.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
    heard = [op for op, _ in daemon.heard]
    assert heard == ["ready", *["checkpoint"] * EARLY_MESSAGES, "figures"]


def test_steps_that_stay_nonfinite_roll_back(
    tmp_path: Path, make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """L5: after several in a row the checkpoint's weights are back, and it is said once."""
    daemon = start(make_trainer(max_nonfinite_steps=3, steps_per_pair=1.0), tmp_path)
    for i in range(20):
        daemon.say(link.pack_pair(make_pair(i)))
    trainer = daemon.service.trainer
    daemon.now += 1000.0
    daemon.service.tick()
    weights = tensors_sha256(trainer.encoder.state_dict())
    with torch.no_grad():
        next(trainer.encoder.parameters()).fill_(float("nan"))
    for i in range(20, 23):
        daemon.say(link.pack_pair(make_pair(i)))
    assert len(daemon.events("nonfinite_step")) == 3
    assert len(daemon.events("rolled_back")) == 1
    assert trainer.counters.rollbacks == 1
    assert tensors_sha256(trainer.encoder.state_dict()) == weights
    daemon.say(link.pack_pair(make_pair(23)))
    assert trainer.counters.nonfinite == 3
