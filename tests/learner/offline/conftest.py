"""What a full run of an evaluation hands to its report, made up but in proportion."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rvsense.learner.offline.figures import Figure, write_figures

SHARES = {"0.01": 0, "0.02": 1, "0.05": 2, "0.1": 3, "0.2": 4, "0.5": 5, "1.0": 6}


def block_of(mean: float, std: float = 0.02) -> dict[str, Any]:
    """A score of three runs."""
    return {"mean": mean, "std": std, "values": [mean - std, mean, mean + std]}


def curve(epochs: int, loss: float, rate: float) -> dict[str, Any]:
    """A test curve of three runs that falls from log 4 to `loss`."""
    steps = list(range(1, epochs + 1))
    runs = [
        [loss + (math.log(4) - loss) * math.exp(-rate * n) + 0.01 * run for n in steps]
        for run in range(3)
    ]
    return {"epochs": steps, "loss": runs, "accuracy": [[1 - x / 2 for x in run] for run in runs]}


def confusion(right: int) -> list[list[int]]:
    """400 frames of each class, of which `right` are right; errors go to the neighbours."""
    wrong = 400 - right
    rows = [[0] * 4 for _ in range(4)]
    for i in range(4):
        rows[i][i] = right
        rows[i][max(i - 1, 0) if i == 3 else i + 1] += 2 * wrong // 3
        rows[i][(i + 2) % 4] += wrong - 2 * wrong // 3
    return rows


def whole_metrics() -> dict[str, Any]:
    """What a full run writes."""
    return {
        "version": 1,
        "dataset": {
            "name": "cruw",
            "simulated": True,
            "sequences": 120,
            "sites": 6,
            "frames": 9600,
            "labelled": {"empty": 2100, "pedestrian": 2600, "cyclist": 2400, "car": 2500},
        },
        "split": "sequence",
        "seeds": [0, 1, 2],
        "preset": "edge",
        "budget": "full",
        "config": {"batch": 64, "queue": 320, "temperature": 0.07},
        "task": [
            {
                "seed": seed,
                "train_frames": 6400,
                "test_frames": 1600,
                "train_sequences": 96,
                "test_sequences": 24,
            }
            for seed in range(3)
        ],
        "linear": {s: block_of(0.74 + 0.015 * i, 0.03 - 0.003 * i) for s, i in SHARES.items()},
        "finetune": {s: block_of(0.72 + 0.025 * i, 0.03 - 0.003 * i) for s, i in SHARES.items()},
        "supervised": {s: block_of(0.61 + 0.042 * i, 0.04 - 0.005 * i) for s, i in SHARES.items()},
        "spread": {s: block_of(0.81 + 0.01 * i, 0.01) for s, i in SHARES.items()},
        "spread_ece": {s: block_of(0.04, 0.01) for s in SHARES},
        "spread_named": {s: block_of(0.93 + 0.01 * i, 0.01) for s, i in SHARES.items()},
        "teacher_linear": block_of(0.95, 0.01),
        "raw_linear": block_of(0.58),
        "init_linear": {"0.01": block_of(0.41), "0.1": block_of(0.5), "1.0": block_of(0.59)},
        "knn": block_of(0.79),
        "k_sweep": {
            "64": {str(k): block_of(0.74 + k / 4000, 0.012) for k in (64, 128, 192, 256, 320)},
            "128": {str(k): block_of(0.75 + k / 4000, 0.012) for k in (128, 256)},
        },
        "mi": {
            batch: {
                str(k): {"bound": 0.55 * math.log(k + 1), "ceiling": math.log(k + 1)} for k in ks
            }
            for batch, ks in (("64", (64, 128, 192, 256, 320)), ("128", (128, 256)))
        },
        "efficiency": {"finetune_epochs": 9.0, "supervised_epochs": 37.0, "factor": 4.1},
        "curves": {"finetune": curve(32, 0.31, 0.25), "supervised": curve(128, 0.32, 0.06)},
        "confusion": {
            "linear": confusion(331),
            "finetune": confusion(347),
            "supervised": confusion(343),
        },
        "by_range": {
            "edges_m": [0, 5, 10, 15, 20, 25],
            "linear": [0.93, 0.9, 0.84, 0.77, None],
            "supervised": [0.94, 0.91, 0.86, 0.74, None],
            "frames": [150, 480, 420, 150, 0],
        },
        "trust": {
            "ece": {"mean": 0.031, "std": 0.004},
            "log_loss": {"mean": 0.52, "std": 0.02},
            "coverage": {"1.0": 0.83, "0.9": 0.87, "0.8": 0.9},
        },
        "teacher_sha256": {"before": "ab" * 32, "after": "ab" * 32},
        "environment": {
            "commit": "0123abcd",
            "torch": "2.14.1",
            "minutes": 94.5,
            "date": "2030-01-02",
        },
    }


@pytest.fixture(scope="session")
def embedding() -> dict[str, Any]:
    """400 points: before, one cloud; after, a cloud each class."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 100)
    centres = np.array([[-20, -12], [14, -16], [-6, 18], [22, 12]])
    return {
        "before": rng.normal(0, 14, (400, 2)),
        "after": centres[labels] + rng.normal(0, 5, (400, 2)),
        "labels": labels,
    }


@pytest.fixture
def metrics() -> dict[str, Any]:
    """What a full run writes, to change at will."""
    return whole_metrics()


@pytest.fixture
def block() -> Callable[..., dict[str, Any]]:
    """`block(mean, std)`: a score of three runs."""
    return block_of


@pytest.fixture(scope="session")
def drawn(embedding: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """All figures of a full run."""
    return write_figures(whole_metrics(), embedding, tmp_path_factory.mktemp("figures"))
