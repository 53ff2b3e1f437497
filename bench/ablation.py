"""What each lever of the learner brings: the current edge settings, with one of them changed.

    python -m bench.ablation DATASET [--steps 400] [--seeds 3] [--only "base,no augmentation"]
    python -m bench.ablation --samples FOLDER [--splits sequence,site]

Every row is pre-trained over a whole table with the same number of updates and the same
schedule, the one of `rvsense evaluate`, and judged by a linear layer with shares of the labels
and by 20 nearest neighbours, on sequences, and again on whole sites, that were held out. Mean ±
deviation over seeds; each seed has one split and one set of initial weights for all rows, so
that a row's gain over the base is taken within seeds.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from bench.cached import (
    EDGE,
    LINEAR,
    Lab,
    Spreads,
    add_options,
    chosen,
    markdown,
    measure,
    pretrained_scores,
    samples_folder,
    shown,
)
from rvsense.atomic import write_file
from rvsense.config import Learning
from rvsense.errors import RvsenseError, UsageError
from rvsense.learner.augment import Augmentation
from rvsense.learner.offline.assemble import spread
from rvsense.learner.offline.crew import Tell
from rvsense.learner.offline.plan import settings_for
from rvsense.learner.offline.samples import Samples
from rvsense.learner.presets import preset_of, settled

SPLITS = {
    "sequence": (*LINEAR.values(), "knn"),
    "site": tuple(LINEAR.values()),
}
"""What is held out, and the figures that the table shows of it."""
COLUMNS = {figure: f"{100 * share:g} %" for share, figure in LINEAR.items()} | {"knn": "kNN"}
BASE = "base"
MASK_CELLS = 24
"""Widest band that masks blank: about a fifth of each axis."""

Measured = dict[tuple[str, str], Spreads]
"""Lever and split to what its runs found."""


@dataclass(frozen=True, slots=True)
class Lever:
    """What is changed of the base settings. An `augmentation` takes the place of theirs."""

    changes: tuple[tuple[str, Any], ...] = ()
    augmentation: Augmentation | None = None


def lever(**changes: Any) -> Lever:
    """Settings of `Learning` to change."""
    return Lever(tuple(changes.items()))


LEVERS = {
    "untrained": lever(total_steps=0),
    BASE: lever(),
    "the paper's form": lever(background="kept", negatives="all"),
    "background removed only": lever(background="removed", negatives="all"),
    "negatives of the site only": lever(background="kept", negatives="site"),
    "standardised keys": lever(standardise_keys=True),
    "soft targets": lever(soft_targets=0.5, soft_temperature=0.05),
    "intra-modal": lever(intra_modal=0.3),
    "decoupled": lever(decoupled=True),
    "temporal positives": lever(temporal_positive_s=0.5),
    "in bfloat16": lever(precision="bfloat16"),
    "short keys": lever(short_keys=128, queue=4096),
    "short keys and K = 65536": lever(short_keys=128, queue=65536),
    "magnitude alone": lever(inputs="magnitude"),
    "masks": lever(mask_rows=MASK_CELLS, mask_columns=MASK_CELLS),
    "no augmentation": lever(augment=False),
    "no mirror": Lever(augmentation=Augmentation(mirror=0.0)),
}


@dataclass(frozen=True, slots=True)
class Ablated:
    """One pre-training; `learning` has the lever's changes already."""

    learning: Learning
    augmentation: Augmentation | None
    split: str
    seed: int

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracies of the averaged encoder on what the split held out."""
        preset = preset_of(self.learning, "edge")
        return pretrained_scores(
            of_channels(lab.data, preset.channels),
            lab.task(self.split, self.seed),
            self.learning,
            preset,
            seed=self.seed,
            tell=tell,
            augmentation=self.augmentation,
        )


def of_channels(data: Samples, channels: tuple[str, ...]) -> Samples:
    """The samples with these channels of the edge preset's input alone."""
    if channels == EDGE.channels:
        return data
    return replace(data, inputs=data.inputs[:, [EDGE.channels.index(name) for name in channels]])


def run_of(lever: Lever, base: Learning, split: str, seed: int) -> Ablated:
    """The run of a lever."""
    return Ablated(replace(base, **dict(lever.changes)), lever.augmentation, split, seed)


def gain(own: Spreads, base: Spreads) -> dict[str, Any]:
    """What a lever adds to the mean accuracy over the shares of labels, seed by seed.

    Seeds differ more than levers do, since each has its own split: so differences are taken
    within a seed before they are averaged.
    """
    seeds = zip(*(own[f]["values"] for f in LINEAR.values()), strict=True)
    before = zip(*(base[f]["values"] for f in LINEAR.values()), strict=True)
    return spread([fmean(a) - fmean(b) for a, b in zip(seeds, before, strict=True)])


def table(levers: Sequence[str], measured: Measured) -> str:
    """The rows as Markdown. Each split has its columns, and one for the gain over the base."""
    splits = [split for split in SPLITS if (levers[0], split) in measured]
    head = ["lever"]
    for split in splits:
        head += [f"{COLUMNS[figure]} by {split}" for figure in SPLITS[split]]
        head += [f"gain by {split}"] if (BASE, split) in measured else []
    return markdown([*head, "CPU s"], [_cells(name, splits, measured) for name in levers])


def _cells(name: str, splits: Sequence[str], measured: Measured) -> list[str]:
    cells = [name]
    for split in splits:
        own = measured[name, split]
        cells += [shown(own[figure]) for figure in SPLITS[split]]
        if (BASE, split) in measured:
            cells.append(shown(gain(own, measured[BASE, split]), "+.3f"))
    return [*cells, f"{fmean(measured[name, split]['cpu_s']['mean'] for split in splits):.0f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; figures of every seed go to a JSON file in the cache."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, steps=400)
    parser.add_argument("--splits", default=",".join(SPLITS), help="what is held out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    base = settled(replace(settings_for("edge", ""), device="cpu", total_steps=options.steps), EDGE)
    splits = options.splits.split(",")
    try:
        if unknown := set(splits) - set(SPLITS):
            raise UsageError(f"--splits {', '.join(unknown)}: only {', '.join(SPLITS)} exist")
        levers = chosen(LEVERS, options.only)
        rows = {
            (name, split): [run_of(own, base, split, seed) for seed in range(options.seeds)]
            for name, own in levers.items()
            for split in splits
        }
        measured = measure(rows, samples_folder(options), options)
    except RvsenseError as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    path = Path(options.cache) / "ablation.json"
    found = {
        "steps": options.steps,
        "settings": asdict(base),
        "levers": {
            name: {"changes": dict(own.changes)} | {s: measured[name, s] for s in splits}
            for name, own in levers.items()
        },
    }
    write_file(path, json.dumps(found, indent=1).encode())
    print(table(list(levers), measured))


if __name__ == "__main__":
    main()
