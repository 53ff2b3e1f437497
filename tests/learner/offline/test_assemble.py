"""From units to metrics.json: what is planned is what is read, and the rules of its figures."""

from dataclasses import replace
from typing import Any

import pytest

from rvsense.errors import UsageError
from rvsense.learner.offline.assemble import assemble, efficiency, spread
from rvsense.learner.offline.plan import FULL, QUICK, Plan, plan_for, settings_for
from rvsense.learner.offline.units import units_of
from rvsense.learner.presets import PRESETS

CURVE = {"epochs": [1, 2], "loss": [0.9, 0.5], "accuracy": [0.6, 0.8]}


def result_of(name: str, plan: Plan) -> dict[str, Any]:
    """What a unit of this name leaves; accuracies grow by a hundredth a seed."""
    kind, *rest = name.split("-")
    if kind == "sweep":
        return {"accuracy": 0.5 + 0.01 * int(rest[2]), "bound": 1.0, "ceiling": 4.0}
    if kind == "embedding":
        return {"labels": [], "before": [], "after": []}
    better = 0.01 * int(rest[0])
    if kind == "pretrain":
        return {"loss": 2.0 + better, "bound": 2.0, "ceiling": 5.0, "instance_top1": 0.5}
    judged = {
        "confusion": [[1, 0, 0, 0]] * 4,
        "by_range": {"edges_m": [0.0, 5.0, 10.0], "frames": [4, 0], "right": [3, 0]},
    }
    if kind == "probe":
        by_share = {str(share): 0.7 + better for share in plan.shares}
        controls = dict.fromkeys(("teacher", "raw", "knn"), 0.6)
        trust = {"ece": 0.1, "log_loss": 0.7, "coverage": {"1.0": 0.8, "0.5": 0.9}}
        return judged | controls | {"linear": by_share, "init": by_share, "trust": trust}
    if kind == "spread":
        rising = {str(share): 0.75 + better for share in plan.shares}
        return {
            "accuracy": rising,
            "ece": dict.fromkeys(rising, 0.05),
            "named": rising | {"1.0": None},
        }
    return judged | {"accuracy": 0.8 + better, "curve": CURVE}


@pytest.mark.parametrize("plan", [QUICK, FULL], ids=["quick", "full"])
def test_every_unit_that_is_read_is_planned_and_the_other_way_round(plan: Plan) -> None:
    """The results of a plan's units are enough; nothing is computed for nobody."""
    read = set[str]()

    class Noted(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            read.add(name)
            return super().__getitem__(name)

    units = units_of(plan, train_frames=1000)
    found = assemble(Noted({u.name: result_of(u.name, plan) for u in units}), plan)
    assert read | {"embedding"} == {unit.name for unit in units}
    assert len({unit.name for unit in units}) == len(units)
    middle = 0.01 * (plan.seeds - 1) / 2
    assert found["spread_ece"]["1.0"]["mean"] == pytest.approx(0.05)
    assert found["spread_named"].keys() == {str(share) for share in plan.shares} - {"1.0"}
    methods = (("linear", 0.7), ("spread", 0.75), ("finetune", 0.8), ("supervised", 0.8))
    for method, start in methods:
        for share in ("0.01", "0.1", "1.0"):
            assert found[method][share]["mean"] == pytest.approx(start + middle)
            assert len(found[method][share]["values"]) == plan.seeds
    assert found["k_sweep"]["64"]["64"]["values"][0] == 0.5
    assert found["mi"]["64"]["320"] == {"bound": 1.0, "ceiling": 4.0}
    assert found["confusion"]["linear"][0] == [plan.seeds, 0, 0, 0]
    assert found["by_range"]["frames"] == [4 * plan.seeds, 0]
    assert found["by_range"]["linear"] == [0.75, None]
    assert found["trust"]["coverage"] == {"1.0": pytest.approx(0.8), "0.5": pytest.approx(0.9)}


def test_what_a_unit_needs_is_planned_before_it() -> None:
    """So that nobody waits in vain."""
    seen = set[str]()
    for unit in units_of(FULL, train_frames=1000):
        assert set(unit.needs) <= seen
        assert unit.cost > 0
        seen.add(unit.name)


def test_a_spread_is_of_the_population() -> None:
    """Of one value it is 0."""
    assert spread([1.0, 3.0]) == {"mean": 2.0, "std": 1.0, "values": [1.0, 3.0]}
    assert spread([0.5])["std"] == 0.0


def curve(*losses: float, every: int = 1) -> dict[str, Any]:
    """Test losses of epochs `every`, 2·every, …"""
    return {"epochs": [every * (i + 1) for i in range(len(losses))], "loss": list(losses)}


def test_efficiency_is_the_epochs_to_the_supervised_level() -> None:
    """The least supervised loss is the level; later, worse epochs do not count for it."""
    taught = [curve(1.0, 0.6, 0.4, 0.7, every=4), curve(1.0, 0.5, every=4)]
    tuned = [curve(0.5, 0.4, 0.3), curve(0.9, 0.8, 0.7, 0.5)]
    assert efficiency(tuned, taught) == {
        "finetune_epochs": 3.0,
        "supervised_epochs": 10.0,
        "factor": pytest.approx(10 / 3),
        "by_seed": {"finetune": [2, 4], "supervised": [12, 8]},
    }


def test_a_seed_that_never_gets_there_leaves_no_factor() -> None:
    """A mean over the other seeds would flatter."""
    found = efficiency([curve(0.3), curve(0.6)], [curve(0.4), curve(0.4)])
    assert found["finetune_epochs"] is None
    assert found["factor"] is None
    assert found["supervised_epochs"] == 1.0
    assert found["by_seed"]["finetune"] == [1, None]


def test_the_budget_seeds_and_preset_make_the_plan() -> None:
    """The paper's full budget is its own recipe; --seeds also bounds the sweep's."""
    assert plan_for("edge", "quick", 1000, None) == QUICK
    assert plan_for("edge", "full", 1000, None) == FULL
    assert plan_for("edge", "full", 1000, 2) == replace(FULL, seeds=2, sweep_seeds=2)
    assert plan_for("edge", "quick", 1000, 9).sweep_seeds == QUICK.sweep_seeds
    paper = plan_for("paper", "full", 640, None)
    assert (paper.every, paper.supervised_epochs, paper.finetune_epochs) == (1, 300, 32)
    assert paper.pretrain_steps == 400 * 10
    assert settings_for("paper", "").exclusion_s == 0.0
    assert settings_for("paper", "").preset in PRESETS


def test_impossible_budgets_and_seeds_are_refused() -> None:
    """With what is allowed."""
    with pytest.raises(UsageError, match="--budget endless: only quick and full exist"):
        plan_for("edge", "endless", 1000, None)
    for seeds in (0, -1, 101):
        with pytest.raises(UsageError, match=f"--seeds {seeds}: 1 to 100"):
            plan_for("edge", "quick", 1000, seeds)
