"""A learner's whole life: it restores, takes steps, publishes, prunes, saves, and stops."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rvsense import link, published
from rvsense.config import Learning
from rvsense.learner import checkpoint
from rvsense.learner.lock import only_learner
from rvsense.learner.service import Service
from rvsense.learner.teacher import Teacher
from tests.faults.every import Said, Writer
from tests.learner.conftest import SMALL, small_teacher, small_trainer, toy_label, toy_pair

SETTINGS = replace(
    SMALL, batch=2, min_pool_pairs=2, pool_pairs=20, heldout_pairs=0, queue=8, steps_per_pair=1.0,
    publish_every_steps=100, models_kept=1, checkpoints_kept=2, max_labels=8, augment=False,
)  # fmt: skip
OTHERWISE = replace(SETTINGS, inputs="magnitude")


@cache
def _teacher() -> Teacher:
    return small_teacher()


class Life:
    """A learner with a daemon that keeps what it hears."""

    def __init__(self, folder: Path, said: Said, learning: Learning = SETTINGS) -> None:
        self.said = said
        trainer = small_trainer(learning, _teacher())
        self.service = Service(trainer, folder, self._hear, lambda: 0.0, owned=True)

    def _hear(self, identity: bytes, message: list[Any]) -> bool:
        op, values, _ = link.unpack(message)
        if op in ("ready", "model", "checkpoint", "taken", "drained", "stopped"):
            self.said.append((op, values))
        return True

    def live(self, *messages: list[Any]) -> None:
        """Take so many pairs and labels, publish, save and stop."""
        hear = self.service.hear
        hear(b"1", link.pack("hello", lockstep=True, daemon="d", life="1", fetch=True))
        for message in (*messages, link.pack("drain"), link.pack("stop")):
            hear(b"1", message)


def _lived(folder: Path) -> None:
    Life(folder, []).live(*map(_pair, range(3)))
    Life(folder, []).live(_pair(3))


@cache
def _pair(i: int) -> list[Any]:
    return link.pack_pair(toy_pair(i))


@cache
def _label(i: int) -> list[Any]:
    return link.pack_label(toy_label(i))


def _live(folder: Path, said: Said) -> None:
    with only_learner(folder, lambda: False) as held:
        assert held
        life = Life(folder, said)
        said.append("lives")
        life.live(_label(0), _pair(4))
        said.append("ended")


def _of(said: Said, op: str) -> list[dict[str, Any]]:
    return [item[1] for item in said if isinstance(item, tuple) and item[0] == op]


def _holds(folder: Path, said: Said, done: bool) -> None:
    if "ended" in said:  # whatever the disk did, no pair was lost in between
        assert [values["count"] for values in _of(said, "taken")][-1] == 2
    for path in published.list_models(folder / "models"):
        published.open_model(path)
    if done:  # the life just lived has restored what there was, and left all in order
        assert _of(said, "ready")[-1]["restored"]
        assert _of(said, "checkpoint")[-1]["ok"]
        assert Path(_of(said, "checkpoint")[-1]["path"]).exists()
        assert Path(_of(said, "model")[-1]["path"]).exists()
        assert not list(folder.glob("*/.*"))
        return
    told: Said = []
    Life(folder, told).service.hear(b"1", link.pack("hello", lockstep=True, daemon="d", life="2"))
    (ready,) = _of(told, "ready")
    announced = [values["step"] for values in _of(said, "checkpoint") if values["ok"]]
    assert ready["restored"]
    assert ready["step"] >= max(announced, default=1)


def _live_otherwise(folder: Path, said: Said) -> None:
    """Its checkpoints are of another encoder, and are set aside."""
    life = Life(folder, said, OTHERWISE)
    life.service.hear(b"1", link.pack("hello", lockstep=True, daemon="d", life="1"))
    life.service.hear(b"1", link.pack("stop"))
    said.append("stopped")


@cache
def _fingerprints() -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        lives = (Life(Path(folder) / one.inputs, [], one) for one in (SETTINGS, OTHERWISE))
        return tuple(life.service._keeper.fingerprint() for life in lives)


def _nothing_is_lost(folder: Path, said: Said, done: bool) -> None:
    whole = [0, 0]
    for path in folder.glob("checkpoints*/checkpoint-*"):
        for n, one in enumerate(_fingerprints()):
            with suppress(checkpoint.OtherRunError):
                checkpoint.load(path, one)
                whole[n] += 1
    assert whole[0] == 2
    assert whole[1] or "stopped" not in said or not done


LEARNER = Writer("learner", _lived, _live, _holds, (OSError,))
OTHER = Writer("learner-set-aside", _lived, _live_otherwise, _nothing_is_lost, (OSError,))
