"""The experiment on stream order: what is played, which batches are drawn, what comes out."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import stream_order
from bench.cached import EDGE, name_of
from rvsense.config import Learning
from rvsense.errors import DatasetError
from rvsense.learner.offline.samples import Samples
from rvsense.learner.presets import settled
from rvsense.learner.step import Batch, Outcome
from tests.bench.conftest import Command

BATCH, STEPS, PAIRS = 8, 6, 48
SMALL = {"batch": BATCH, "queue": 16, "min_pool_pairs": 8, "heldout_pairs": 0}
LEARNING = settled(replace(Learning(preset="edge", device="cpu"), **SMALL), EDGE)  # type: ignore[arg-type]


def batches(data: Samples, arm: str) -> list[list[int]]:
    """The pairs of each batch of a pass, ascending, by their place in the stream."""
    run = stream_order.order_arms(LEARNING, STEPS)[arm](0)
    trainer = stream_order.trainer_of(run.learning, data.keys.shape[1], seed=0)
    rows = stream_order.stream_order(data, torch.arange(len(data)))[:PAIRS]
    moments = zip(data.sequences[rows].tolist(), data.stamps_ns[rows].tolist(), strict=True)
    position = {moment: place for place, moment in enumerate(moments)}
    seen: list[list[int]] = []
    step_on = trainer.step_on

    def watched(batch: Batch) -> Outcome:
        sequences = (batch.places % 2**32).tolist()
        moments = zip(sequences, batch.stamps.tolist(), strict=True)
        seen.append(sorted(position[moment] for moment in moments))
        return step_on(batch)

    trainer.step_on = watched  # type: ignore[method-assign]
    stream_order.play(trainer, data, rows, STEPS)
    return seen


def test_in_order_every_batch_is_the_newest_pairs(toy_data: Samples) -> None:
    """The control learns from consecutive pairs, later ones at each step, up to the last."""
    seen = batches(toy_data, "in order")
    assert len(seen) == STEPS
    assert all(batch == list(range(batch[0], batch[0] + BATCH)) for batch in seen)
    newest = [batch[-1] for batch in seen]
    assert newest == sorted(set(newest))
    assert newest[-1] == PAIRS - 1


def test_a_pool_reaches_back(toy_data: Samples) -> None:
    """With room for all, late batches hold early pairs, and hardly neighbours alone."""
    last = batches(toy_data, "reservoir 256")[-1]
    assert len(set(last)) == BATCH
    assert last[-1] - last[0] > 2 * BATCH


def test_the_stream_is_played_site_after_site(toy_data: Samples) -> None:
    """Whatever order rows are given in, they come by site, sequence and time."""
    mixed = torch.randperm(len(toy_data), generator=torch.Generator().manual_seed(1))
    played = toy_data.take(stream_order.stream_order(toy_data, mixed))
    columns = (played.sites, played.sequences, played.stamps_ns)
    moments = list(zip(*(column.tolist() for column in columns), strict=True))
    assert moments == sorted(moments)
    assert len(set(moments)) == len(toy_data)


@pytest.mark.parametrize(("pairs", "steps"), [(10, 10), (3393, 720), (7, 20), (5, 0)])
def test_updates_are_spread_evenly(pairs: int, steps: int) -> None:
    """None before the first pair, all by the last, and never a burst between."""
    due = [stream_order.owed(pair, pairs, steps) for pair in range(pairs + 1)]
    assert (due[0], due[-1]) == (0, steps)
    gaps = {after - before for before, after in pairwise(due)}
    assert gaps <= {steps // pairs, -(-steps // pairs)}


def test_without_a_number_the_setting_says_how_many_updates(toy_data: Samples) -> None:
    """`steps_per_pair` counts the pairs from the one that makes the pool deep enough."""
    learning = replace(LEARNING, steps_per_pair=0.5)
    trainer = stream_order.trainer_of(learning, toy_data.keys.shape[1], seed=0)
    stream_order.play(trainer, toy_data, torch.arange(12), None)
    assert trainer.counters.step == round(0.5 * (12 - SMALL["min_pool_pairs"] + 1))


def test_too_few_pairs_are_refused(toy_data: Samples) -> None:
    """Fewer than training waits for would give an untrained encoder under a trained name."""
    trainer = stream_order.trainer_of(LEARNING, toy_data.keys.shape[1], seed=0)
    with pytest.raises(DatasetError, match="7 pairs"):
        stream_order.play(trainer, toy_data, torch.arange(7), STEPS)


def test_a_result_is_named_by_all_that_it_depends_on() -> None:
    """Equal runs of two tables share one; another seed, number or setting is another's."""
    arms = stream_order.order_arms(LEARNING, STEPS)
    same = stream_order.varied_arms(LEARNING, STEPS, "pool")["pool_pairs 1024"]
    assert name_of(same(0)) == name_of(arms["reservoir 1024"](0))
    others = [arm(seed) for arm in arms.values() for seed in range(2)]
    others.append(stream_order.order_arms(LEARNING, STEPS + 1)["in order"](0))
    assert len({name_of(run) for run in others}) == len(others)


def test_the_command(command: Command, toy_folder: Path, tmp_path: Path, capsys: Any) -> None:
    """A table and a JSON file; done again, it only reads."""
    options = ("--steps", "2", "--seeds", "1", "--jobs", "1", "--only", "in order")
    printed, found = command("stream_order", *options)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in printed.splitlines()]
    shares = ["1 % labels", "10 % labels"]
    assert rows[0] == ["arm", *shares, "kNN", "updates", "CPU s"]
    assert (rows[2][0], rows[2][4]) == ("in order", "2")
    (arm,) = found["arms"].values()
    assert set(arm) == {"linear_1", "linear_10", "knn", "cpu_s", "updates"}
    assert all(0 <= arm[f"linear_{share}"]["mean"] <= 1 for share in (1, 10))
    # No process of its own could import this package from here: nothing is left to do.
    folders = ["--samples", str(toy_folder), "--cache", str(tmp_path)]
    stream_order.main([*folders, *options])
    assert capsys.readouterr().out == printed


def test_an_arm_that_does_not_exist_is_named() -> None:
    """The message lists those that do."""
    with pytest.raises(SystemExit, match=r"--only reservoire: the rows are untrained, in order"):
        stream_order.main(["--samples", ".", "--only", "reservoire"])
