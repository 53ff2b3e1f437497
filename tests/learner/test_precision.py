"""Which precision is taken where, and that a step in bfloat16 is one, and the same each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rvsense import link
from rvsense.config import Learning
from rvsense.learner.precision import precision_of
from rvsense.learner.service import Service
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair
from rvsense.published import list_models, open_model


def test_float32_unless_asked_otherwise() -> None:
    """The same seed gives the same weights on any machine of a kind of instructions."""
    assert precision_of(Learning()) == torch.float32
    assert precision_of(Learning(precision="bfloat16")) == torch.bfloat16


def test_bfloat16_is_another_run_and_the_same_one_each_time(
    make_trainer: Callable[..., Trainer], make_pair: Callable[[int], Pair]
) -> None:
    """Weights stay float32, the first loss is near that of float32, a repetition is the same."""
    losses: dict[str, float] = {}
    ends: dict[str, list[dict[str, torch.Tensor]]] = {"float32": [], "bfloat16": []}
    for precision in ("float32", "bfloat16", "bfloat16"):
        trainer = make_trainer(precision=precision)
        for i in range(16):
            trainer.ingest(make_pair(i))
        losses[precision] = trainer.train().loss
        for _ in range(3):
            assert trainer.train().updated
        assert trainer.queue.keys.dtype == trainer.dtype
        ends[precision].append(trainer.encoder.state_dict())
    once, again = ends["bfloat16"]
    (exact,) = ends["float32"]
    assert tensors_sha256(once) == tensors_sha256(again)
    assert all(own.dtype == exact[name].dtype for name, own in once.items())
    assert any(not torch.equal(own, exact[name]) for name, own in once.items())
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.02)


def test_what_was_taken_is_recorded_and_a_change_is_told(
    tmp_path: Path, make_trainer: Callable[..., Trainer], make_pair: Callable[[int], Pair]
) -> None:
    """In `ready`, in the model, in the checkpoint; a restart in another one says so."""
    heard: list[tuple[str, dict[str, object]]] = []

    def start(precision: str) -> Service:
        def send(_: bytes, message: list[Any]) -> bool:
            heard.append(link.unpack(message)[:2])
            return True

        heard.clear()
        service = Service(make_trainer(precision=precision), tmp_path, send, owned=True)
        service.hear(b"a", link.pack("hello", lockstep=True, daemon="a", life="a"))
        return service

    service = start("bfloat16")
    assert [v["precision"] for op, v in heard if op == "ready"] == ["bfloat16"]
    for i in range(12):
        service.hear(b"a", link.pack_pair(make_pair(i)))
    service.hear(b"a", link.pack("drain"))
    (model,) = list_models(tmp_path / "models")
    assert open_model(model).manifest["config"]["precision"] == "bfloat16"
    service.hear(b"a", link.pack("stop"))
    for precision, told in (("bfloat16", []), ("float32", [("bfloat16", "float32")])):
        start(precision)
        changes = [v for _, v in heard if v.get("event") == "precision_changed"]
        assert [(v["before"], v["now"]) for v in changes] == told
