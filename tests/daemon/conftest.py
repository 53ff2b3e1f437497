"""One thread, and a model that is not a network."""

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rvsense.answer import Answer
from rvsense.model import ServableModel


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """More threads only fight over two cores."""
    torch.set_num_threads(1)


class FakeModel:
    """Answers `car` once its gate is open; raises where a heatmap is in `poison`.

    `batches` holds the heatmaps of each call, `entered` tells that a call is under way.
    """

    def __init__(self, name: str = "fake", *, open_gate: bool = True) -> None:
        self.published = SimpleNamespace(
            id=name, step=1, sha256="ab", manifest={"created_ns": 5, "head": None}
        )
        self.batches: list[list[Any]] = []
        self.poison: list[Any] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        if open_gate:
            self.gate.set()

    def classify(self, heatmaps: Sequence[Any]) -> list[Answer]:
        """As ServableModel.classify."""
        self.batches.append(list(heatmaps))
        self.entered.set()
        assert self.gate.wait(timeout=10)
        if any(heatmap is bad for heatmap in heatmaps for bad in self.poison):
            raise RuntimeError("poison")
        return [Answer("car", {"car": 0.9}, 0.5, None) for _ in heatmaps]


@pytest.fixture
def fake_model() -> Callable[..., Any]:
    """`fake_model(name, open_gate=...)`: a model under the test's control."""

    def make(name: str = "fake", *, open_gate: bool = True) -> Any:
        return FakeModel(name, open_gate=open_gate)

    assert hasattr(ServableModel, "classify")
    return make
