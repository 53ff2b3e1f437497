"""Checkpoints: whole or not there, checked before use, the one before as fallback."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import link
from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from rvsense.learner.rows import CHUNK_ROWS, Column, Rows
from rvsense.learner.service import EARLY_MESSAGES, Service
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]


def table(count: int) -> Rows:
    """Rows 0 to count - 1, each holding its number."""
    rows = Rows(10 * CHUNK_ROWS, {"x": Column((3,), torch.float16)})
    for i in range(count):
        rows.put(i, x=torch.full((3,), float(i)))
    return rows


def write(root: Path, rows: Rows, number: int, keep: int = 2) -> Path:
    """A checkpoint of a table and one tensor."""
    return checkpoint.save(
        root,
        fingerprint="run",
        values={"number": number},
        tensors={"weights": torch.full((2,), float(number))},
        tables={"pool": rows},
        keep=keep,
    )


def read(path: Path) -> tuple[dict[str, Any], Rows]:
    """The values and the table of a checkpoint."""
    saved, rows = checkpoint.load(path, "run"), table(0)
    saved.fill("pool", rows)
    return saved.values, rows


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    """Values, tensors and every row of a partly filled table survive the disk."""
    rows = table(CHUNK_ROWS + 5)
    path = write(tmp_path, rows, 1)
    values, back = read(path)
    assert values == {"number": 1}
    assert torch.equal(back.take("x"), rows.take("x"))
    assert checkpoint.load(path, "run").tensors["weights"].tolist() == [1, 1]


def test_an_older_table_leaves_no_newer_rows(tmp_path: Path) -> None:
    """Falling back to a checkpoint of fewer rows forgets those that came after it."""
    path, rows = write(tmp_path, table(5), 1), table(3 * CHUNK_ROWS)
    checkpoint.load(path, "run").fill("pool", rows)
    assert rows.fill == 5


def test_only_changed_chunks_are_written(tmp_path: Path) -> None:
    """The second checkpoint of a table with one new row writes one chunk and keeps the rest."""
    rows = table(3 * CHUNK_ROWS)
    write(tmp_path, rows, 1)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "chunks").iterdir()}
    rows.put(CHUNK_ROWS, x=torch.zeros(3))
    path = write(tmp_path, rows, 2)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "chunks").iterdir()}
    assert len(after.keys() - before.keys()) == 1
    assert all(after[name] == before[name] for name in before)
    assert torch.equal(read(path)[1].take("x"), rows.take("x"))


def test_unreferenced_chunks_go(tmp_path: Path) -> None:
    """A chunk is removed once no kept checkpoint names it, and not earlier."""
    rows = table(CHUNK_ROWS)
    for number in range(5):
        rows.put(0, x=torch.full((3,), 100.0 + number))
        path = write(tmp_path, rows, number, keep=2)
        for kept in checkpoint.numbered(tmp_path):
            read(kept)
    assert len(checkpoint.numbered(tmp_path)) == 2
    assert len(list((tmp_path / "chunks").iterdir())) == 2
    assert read(path)[0] == {"number": 4}


def damage_tensors(path: Path) -> None:
    """Flip one bit in the middle."""
    target = path / "tensors.safetensors"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)


def damage_chunk(path: Path) -> None:
    """Cut a chunk short."""
    target = sorted((path.parent / "chunks").iterdir())[0]
    target.write_bytes(target.read_bytes()[:-7])


def damage_manifest(path: Path) -> None:
    """Tear the manifest."""
    (path / "manifest.json").write_text((path / "manifest.json").read_text()[:50])


@pytest.mark.parametrize(
    "damage",
    [
        damage_tensors,
        damage_chunk,
        damage_manifest,
        lambda path: (path / "tensors.safetensors").unlink(),
        lambda path: sorted((path.parent / "chunks").iterdir())[0].unlink(),
        lambda path: (path / "manifest.json").write_text("[]"),
    ],
)
def test_damage_is_found_and_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whatever is damaged, the error names a file below the checkpoint's root."""
    path = write(tmp_path, table(5), 1)
    damage(path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        checkpoint.load(path, "run")


def test_a_manifest_cannot_point_outside(tmp_path: Path) -> None:
    """A chunk name with a path in it is refused, not opened."""
    path = write(tmp_path, table(5), 1)
    text = (path / "manifest.json").read_text()
    name = sorted((tmp_path / "chunks").iterdir())[0].name
    (path / "manifest.json").write_text(text.replace(name, "../../etc/hostname"))
    with pytest.raises(ModelError, match="outside"):
        checkpoint.load(path, "run")


class FailingDisk:
    """Lets `allowed` calls of a function through, then raises."""

    def __init__(self, function: Callable[..., Any], allowed: int) -> None:
        self.function, self.left = function, allowed

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The call, or a full disk."""
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return self.function(*arguments, **named)


@pytest.mark.parametrize("call", ["fsync", "replace", "rename", "open"])
def test_disk_failing_at_any_call_keeps_the_previous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """L6: for every n, if the n-th call fails, a whole checkpoint loads; then one succeeds.

    It is the announced one, or a newer one that was whole when the failure came.
    """
    rows = table(3 * CHUNK_ROWS)
    write(tmp_path, rows, 0)
    contents = [rows.take("x").clone()]
    real = getattr(os, call)
    for n in range(200):
        rows.put(n % rows.fill, x=torch.full((3,), 500.0 + n))
        contents.append(rows.take("x").clone())
        monkeypatch.setattr(os, call, FailingDisk(real, n))
        try:
            path = write(tmp_path, rows, n + 1)
        except OSError:
            monkeypatch.setattr(os, call, real)
            values, back = read(checkpoint.numbered(tmp_path)[-1])
            assert torch.equal(back.take("x"), contents[values["number"]])
            continue
        monkeypatch.setattr(os, call, real)
        values, back = read(path)
        assert values["number"] == n + 1
        assert torch.equal(back.take("x"), rows.take("x"))
        return
    pytest.fail("never succeeded")


class Daemon:
    """The other end of a service's link, with a clock that stands still."""

    def __init__(self, trainer: Trainer, state_dir: Path) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.now = 0.0
        self.service = Service(trainer, state_dir, self._hear, lambda: self.now)

    def _hear(self, message: list[Any]) -> None:
        op, values, _ = link.unpack(message)
        self.heard.append((op, values))

    def say(self, message: list[Any]) -> None:
        """Deliver one message."""
        self.service.handle(*link.unpack(message))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Notices of that event."""
        return [v for op, v in self.heard if op == "notice" and v["event"] == name]


def start(trainer: Trainer, state_dir: Path) -> Daemon:
    """A service that has been greeted in lock-step."""
    daemon = Daemon(trainer, state_dir)
    daemon.say(link.pack("hello", lockstep=True, daemon="test"))
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
    daemon.say(link.pack("hello", lockstep=True, daemon="test"))
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
