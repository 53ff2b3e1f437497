"""From the results of all units to metrics.json. Pure."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from rvsense.learner.offline.plan import Plan

Results = Mapping[str, Mapping[str, Any]]


def assemble(results: Results, plan: Plan) -> dict[str, Any]:
    """Everything that was measured, with mean and deviation over seeds."""
    seeds = range(plan.seeds)
    probes = [results[f"probe-{seed}"] for seed in seeds]
    tuned = [results[f"finetune-{seed}-1.0"] for seed in seeds]
    taught = [results[f"supervised-{seed}-1.0"] for seed in seeds]
    return {
        "linear": {str(s): spread([p["linear"][str(s)] for p in probes]) for s in plan.shares},
        "spread": _spread_labels(results, plan, "accuracy"),
        "spread_ece": _spread_labels(results, plan, "ece"),
        "spread_named": _spread_labels(results, plan, "named"),
        "init_linear": {str(s): spread([p["init"][str(s)] for p in probes]) for s in plan.shares},
        "finetune": _by_share(results, "finetune", plan),
        "supervised": _by_share(results, "supervised", plan),
        "teacher_linear": spread([p["teacher"] for p in probes]),
        "raw_linear": spread([p["raw"] for p in probes]),
        "knn": spread([p["knn"] for p in probes]),
        "k_sweep": _sweep(results, plan, lambda runs: spread([r["accuracy"] for r in runs])),
        "mi": _sweep(results, plan, _bound),
        "pretraining": {
            name: fmean(results[f"pretrain-{seed}"][name] for seed in seeds)
            for name in ("loss", "bound", "ceiling", "instance_top1")
        },
        "curves": {
            "finetune": _curves([r["curve"] for r in tuned]),
            "supervised": _curves([r["curve"] for r in taught]),
        },
        "efficiency": efficiency([r["curve"] for r in tuned], [r["curve"] for r in taught]),
        "confusion": {
            "linear": _added([p["confusion"] for p in probes]),
            "finetune": _added([r["confusion"] for r in tuned]),
            "supervised": _added([r["confusion"] for r in taught]),
        },
        "by_range": _by_range(
            {"linear": probes, "finetune": tuned, "supervised": taught},
        ),
        "trust": _trust([p["trust"] for p in probes]),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and population deviation of a figure over its seeds."""
    return {"mean": fmean(values), "std": pstdev(values), "values": list(values)}


def efficiency(
    tuned: Sequence[Mapping[str, Any]], taught: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Epochs until fine-tuning is as good on the test side as supervision ever gets (Fig. 6).

    The supervised level of a seed is its least test loss, and its epochs are those it took to
    get there; fine-tuning is given the first epoch at which its own test loss is as low. Mean
    over seeds; None where a seed never gets there.
    """
    needed, had = [], []
    for own, other in zip(tuned, taught, strict=True):
        level = min(other["loss"])
        had.append(other["epochs"][other["loss"].index(level)])
        reached = [
            epoch for epoch, loss in zip(own["epochs"], own["loss"], strict=True) if loss <= level
        ]
        needed.append(reached[0] if reached else None)
    whole = [n for n in needed if n is not None]
    mean = fmean(whole) if len(whole) == len(needed) else None
    return {
        "finetune_epochs": mean,
        "supervised_epochs": fmean(had),
        "factor": fmean(had) / mean if mean else None,
        "by_seed": {"finetune": needed, "supervised": had},
    }


def _spread_labels(results: Results, plan: Plan, figure: str) -> dict[str, Any]:
    """By share of labels; without the shares that leave no frame to spread labels over."""
    runs = [results[f"spread-{seed}"][figure] for seed in range(plan.seeds)]
    found = {str(share): [run[str(share)] for run in runs] for share in plan.shares}
    return {share: spread(values) for share, values in found.items() if None not in values}


def _by_share(results: Results, method: str, plan: Plan) -> dict[str, Any]:
    return {
        str(share): spread(
            [results[f"{method}-{seed}-{share}"]["accuracy"] for seed in range(plan.seeds)]
        )
        for share in plan.shares
    }


def _sweep(
    results: Results, plan: Plan, summary: Callable[[list[Mapping[str, Any]]], dict[str, Any]]
) -> dict[str, Any]:
    return {
        str(batch): {
            str(k): summary([results[f"sweep-{batch}-{k}-{s}"] for s in range(plan.sweep_seeds)])
            for k in queues
        }
        for batch, queues in plan.sweep.items()
    }


def _bound(runs: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: fmean(run[name] for run in runs) for name in ("bound", "ceiling")}


def _curves(curves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # Seeds may differ by an epoch in length, since their balanced classes do.
    length = min(len(curve["epochs"]) for curve in curves)
    return {
        "epochs": curves[0]["epochs"][:length],
        "loss": [curve["loss"][:length] for curve in curves],
        "accuracy": [curve["accuracy"][:length] for curve in curves],
    }


def _added(tables: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def _by_range(methods: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    first = next(iter(methods.values()))[0]["by_range"]
    found: dict[str, Any] = {"edges_m": first["edges_m"]}
    for method, runs in methods.items():
        frames = [sum(n) for n in zip(*(r["by_range"]["frames"] for r in runs), strict=True)]
        right = [sum(n) for n in zip(*(r["by_range"]["right"] for r in runs), strict=True)]
        found["frames"] = frames
        found[method] = [r / n if n else None for r, n in zip(right, frames, strict=True)]
    return found


def _trust(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "ece": spread([run["ece"] for run in runs]),
        "log_loss": spread([run["log_loss"] for run in runs]),
        "coverage": {
            share: fmean(run["coverage"][share] for run in runs) for share in runs[0]["coverage"]
        },
    }
