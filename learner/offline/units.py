"""All pieces of work of a plan: what each needs, and what it costs. Pure."""

from rvsense.learner.offline.crew import Unit
from rvsense.learner.offline.embedding import Embed
from rvsense.learner.offline.plan import Plan
from rvsense.learner.offline.stages import Bench, Pretrain, Probe, SpreadLabels, Sweep, Taught

PROBE_COST = 12_000.0
"""Of heads and t-SNE, in training samples: the unit of all costs."""
SPREAD_COST = 20_000.0
"""Of heads from labels that are spread: each is fitted to all frames, not to the labelled."""


def units_of(plan: Plan, train_frames: int) -> list[Unit[Bench]]:
    """The units of all seeds; what others need comes first, the cheapest last."""
    return [*_pretrainings(plan), *_taught(plan, train_frames), *_sweeps(plan), *_probes(plan)]


def _pretrainings(plan: Plan) -> list[Unit[Bench]]:
    cost = float(plan.batch * plan.pretrain_steps)
    return [Unit(f"pretrain-{seed}", Pretrain(seed), cost) for seed in range(plan.seeds)]


def _taught(plan: Plan, train_frames: int) -> list[Unit[Bench]]:
    units: list[Unit[Bench]] = []
    for share in sorted(plan.shares, reverse=True):
        for seed in range(plan.seeds):
            for method, epochs, least, needs in (
                ("supervised", plan.supervised_epochs, plan.least_steps, ()),
                (
                    *("finetune", plan.finetune_epochs, plan.finetune_least_steps),
                    (f"pretrain-{seed}",),
                ),
            ):
                cost = max(64.0 * least, epochs * share * train_frames)
                name = f"{method}-{seed}-{share}"
                units.append(Unit(name, Taught(seed, share, method), cost, needs))
    return units


def _sweeps(plan: Plan) -> list[Unit[Bench]]:
    return [
        Unit(f"sweep-{batch}-{k}-{seed}", Sweep(seed, batch, k), float(batch * plan.sweep_steps))
        for seed in range(plan.sweep_seeds)
        for batch, queues in plan.sweep.items()
        for k in queues
    ]


def _probes(plan: Plan) -> list[Unit[Bench]]:
    probes: list[Unit[Bench]] = [
        Unit(f"probe-{seed}", Probe(seed), PROBE_COST, (f"pretrain-{seed}",))
        for seed in range(plan.seeds)
    ]
    probes += [
        Unit(f"spread-{seed}", SpreadLabels(seed), SPREAD_COST, (f"pretrain-{seed}",))
        for seed in range(plan.seeds)
    ]
    return [*probes, Unit("embedding", Embed(0), PROBE_COST, ("finetune-0-1.0",))]
