"""Longer training beside supervision: the table, and the command on a toy."""

import pytest

from bench import longer
from bench.cached import Spreads
from rvsense.learner.offline.assemble import spread
from tests.bench.conftest import Command


def own(spread_at_1: list[float]) -> Spreads:
    """The figures of one length."""
    names = [f"{kind} {share:g}" for kind in ("linear", "spread") for share in longer.SHARES]
    seeds = len(spread_at_1)
    return {name: spread([0.5] * seeds) for name in [*names, "cpu_s"]} | {
        "spread 0.01": spread(spread_at_1)
    }


def test_ahead_is_taken_within_seeds() -> None:
    """Seeds that differ by much hide nothing: each is two points ahead of its own supervision."""
    best = {"accuracy": spread([0.7, 0.9]), "cpu_s": spread([1.0, 1.0])}
    found = longer.ahead(own([0.72, 0.92]), best)
    assert found["mean"] == pytest.approx(2.0)
    assert found["std"] == pytest.approx(0.0, abs=1e-9)
    table = longer.table([7], {"7": own([0.72, 0.92]), longer.SUPERVISED: best})
    head, _, row, _, taught = table.splitlines()
    assert head.split(" | ")[4] == "1 % spread"
    assert row.split(" | ")[4] == "0.820 ± 0.100"
    assert "+2.0 ± 0.000" in row
    assert taught.startswith("supervised, 100 %: 0.800 ± 0.100")


def test_the_command(command: Command) -> None:
    """A row, and every seed's figures in a file."""
    short = ("--seeds", "1", "--draws", "1", "--epochs", "1", "--jobs", "1")
    printed, found = command("longer", "--lengths", "2", *short)
    assert printed.splitlines()[2].startswith("| 2 | 0.")
    assert set(found) == {"2", longer.SUPERVISED}
    assert all(0 <= found["2"][f"spread {share:g}"]["mean"] <= 1 for share in longer.SHARES)
