"""One thread, and samples of every message."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
import torch

from rvsense.results import ModelName, Result
from tests.shared.publishing import Daemon


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """More threads only fight over two cores."""
    torch.set_num_threads(1)


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """`make_result(**changes)`: an answer as it goes out."""

    def make(**changes: Any) -> Result:
        values: dict[str, Any] = {
            "site": "east",
            "seq": 7,
            "stamp_ns": 1_000_000_007,
            "epoch": 1,
            "source": {"sequence": "2019_04_09"},
            "label": "car",
            "probs": {"empty": 0.125, "pedestrian": 0.125, "cyclist": 0.25, "car": 0.5},
            "abstain": None,
            "ood_score": 0.75,
            "model": ModelName("step-00000100-abcdef01", 100, "ab" * 4, 5),
            "received_ns": 10,
            "published_ns": 20,
            "result_seq": 3,
        }
        return Result(**(values | changes))

    return make


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A results socket."""
    it = Daemon()
    yield it
    it.close()


@pytest.fixture
def fresh(make_result: Callable[..., Result]) -> Callable[..., Result]:
    """`fresh(result_seq, **changes)`: a result that was published just now."""

    def make(result_seq: int, **changes: Any) -> Result:
        now = {"published_ns": time.time_ns(), "result_seq": result_seq}
        return make_result(**(now | changes))

    return make


@pytest.fixture
def header() -> Callable[..., bytes]:
    """`header(kind, **changes)`: the map of a valid message, changed; `...` removes a key."""
    own: dict[str, dict[str, Any]] = {
        "radar": {"shape": [1, 128, 128, 2], "dtype": "<f4"},
        "camera": {"codec": "jpeg"},
        "label": {"objects": []},
    }

    def make(kind: str, /, **changes: Any) -> bytes:
        values = {"v": 1, "kind": kind, "site": "east", "seq": 1, "stamp_ns": 2, "epoch": 0}
        values |= own.get(kind, {}) | changes
        kept = {key: value for key, value in values.items() if value is not ...}
        return bytes(msgpack.packb(kept))

    return make
