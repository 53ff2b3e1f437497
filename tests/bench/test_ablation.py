"""The table of levers: each changes something, and each split has its columns."""

from dataclasses import replace

import pytest
import torch

from bench import ablation
from bench.cached import EDGE, Spreads
from rvsense.learner.offline.assemble import spread
from rvsense.learner.offline.plan import settings_for
from rvsense.learner.offline.samples import Samples
from rvsense.learner.presets import settled
from tests.bench.conftest import Command

SETTINGS = settled(replace(settings_for("edge", ""), total_steps=400), EDGE)
SHARES = ("linear_1", "linear_10")


def test_every_lever_differs_from_the_base_and_from_the_others() -> None:
    """A default that has become what a lever changes would print the base under its name."""
    levers = ablation.LEVERS.items()
    runs = {name: ablation.run_of(own, SETTINGS, "site", 0) for name, own in levers}
    groups = [[n for n, run in runs.items() if run == own] for own in runs.values()]
    assert [group for group in groups if len(group) > 1] == []


def test_magnitude_alone_is_the_first_channel(toy_data: Samples) -> None:
    """Other rows stay as they are, and nothing is copied where nothing is left out."""
    alone = ablation.of_channels(toy_data, ("magnitude",))
    assert torch.equal(alone.inputs, toy_data.inputs[:, :1])
    assert torch.equal(alone.keys, toy_data.keys)
    assert ablation.of_channels(toy_data, EDGE.channels) is toy_data


def spreads(*values: float) -> Spreads:
    """The same accuracy of each seed with every share of labels."""
    return {figure: spread(values) for figure in (*SHARES, "knn", "cpu_s")}


def test_the_gain_is_taken_within_seeds() -> None:
    """Seeds that differ much do not hide a lever that adds the same to each."""
    gain = ablation.gain(spreads(0.42, 0.62, 0.92), spreads(0.4, 0.6, 0.9))
    assert gain["mean"] == pytest.approx(0.02)
    assert gain["std"] == pytest.approx(0.0, abs=1e-12)


def test_the_table_has_columns_for_each_split() -> None:
    """A row for each lever, with its gain over the base beside what it reached."""
    measured = {
        ("base", "sequence"): spreads(0.5, 0.7),
        ("base", "site"): spreads(0.4, 0.4),
        ("masks", "sequence"): spreads(0.6, 0.7),
        ("masks", "site"): spreads(0.3, 0.4),
    }
    head, _, base, masks = (
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in ablation.table(["base", "masks"], measured).splitlines()
    )
    by_sequence = ["1 %", "10 %", "kNN", "gain"]
    by_site = ["1 %", "10 %", "gain"]
    named = [f"{c} by sequence" for c in by_sequence] + [f"{c} by site" for c in by_site]
    assert head == ["lever", *named, "CPU s"]
    assert base == [
        "base",
        *["0.600 ± 0.100"] * 3,
        "+0.000 ± 0.000",
        *["0.400 ± 0.000"] * 2,
        "+0.000 ± 0.000",
        "0",
    ]
    assert (masks[4], masks[7]) == ("+0.050 ± 0.050", "-0.050 ± 0.050")


def test_without_the_base_there_is_no_gain() -> None:
    """Nothing to compare with: the column is left out."""
    printed = ablation.table(["masks"], {("masks", "site"): spreads(0.4, 0.6)})
    assert "gain" not in printed
    assert printed.splitlines()[2] == "| masks | " + "0.500 ± 0.100 | " * 2 + "0 |"


def test_the_command(command: Command) -> None:
    """A row and a JSON file, from an encoder of one channel and held-out sites."""
    steps = ("--steps", "2", "--seeds", "1", "--jobs", "1")
    printed, found = command("ablation", *steps, "--only", "magnitude alone", "--splits", "site")
    head, _, row = printed.splitlines()
    assert head == "| lever | 1 % by site | 10 % by site | CPU s |"
    assert row.startswith("| magnitude alone | 0.")
    (lever,) = found["levers"].values()
    assert lever["changes"] == {"inputs": "magnitude"}
    assert lever["site"]["updates"]["values"] == [2]
    assert all(0 <= lever["site"][share]["mean"] <= 1 for share in SHARES)


def test_a_split_that_does_not_exist_is_named() -> None:
    """Before anything is computed."""
    with pytest.raises(SystemExit, match="--splits frame: only sequence, site exist"):
        ablation.main(["--samples", ".", "--splits", "frame"])
