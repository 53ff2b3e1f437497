"""Whether longer training without labels reaches supervision: the edge recipe with more steps.

    python -m bench.longer DATASET [--lengths 500,1500,3000] [--seeds 3]
    python -m bench.longer --samples FOLDER

Each length is a pre-training of its own with a whole schedule. A linear layer on its frozen
features is given shares of the labels, as they are and spread through the camera; the supervised
network of `rvsense evaluate --budget full` has all of them. Splits and held-out sequences are the
same for all, by seed; `ahead` is what 1 % of the labels, spread, is better by than supervision with
100 %, in points, taken within seeds.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bench.cached import (
    CPU,
    EDGE,
    Lab,
    Spreads,
    add_source_options,
    markdown,
    measure,
    samples_folder,
    shown,
)
from rvsense.atomic import write_file
from rvsense.config import Learning
from rvsense.errors import RvsenseError
from rvsense.learner.offline import downstream, probe
from rvsense.learner.offline.assemble import spread
from rvsense.learner.offline.crew import Tell
from rvsense.learner.offline.plan import FULL, settings_for
from rvsense.learner.offline.pretrain import pretrain
from rvsense.learner.offline.spread_labels import Sides, spread_linear
from rvsense.learner.offline.stages import LABEL_SEED
from rvsense.learner.presets import initial_encoder, settled

SHARES = (0.01, 0.1, 1.0)
SUPERVISED = "supervised"
TEACHING = downstream.Teaching(
    epochs=FULL.supervised_epochs,
    least_steps=FULL.least_steps,
    batch=FULL.batch,
    learning_rate=FULL.supervised_rate,
    weight_decay=FULL.weight_decay,
)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """One pre-training, and a linear layer on what it left."""

    learning: Learning
    seed: int
    draws: int = FULL.draws

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracies by share of labels, as they are and spread."""
        began_s = time.process_time()
        task = lab.task("sequence", self.seed)
        steps = self.learning.total_steps
        done = pretrain(
            initial_encoder(EDGE, lab.data.keys.shape[1], seed=self.seed, weights=""),
            lab.data,
            task.pretrain,
            self.learning,
            EDGE,
            seed=self.seed,
            device=CPU,
            after_step=lambda _: tell(1.0 / steps),
        )
        found = {"cpu_s": time.process_time() - began_s}
        features = probe.encoder_features(done.encoder, lab.data, task)
        sides = Sides.of(done.encoder, lab.data, task)
        for share in SHARES:
            args = (share, self.draws, LABEL_SEED + self.seed)
            found[f"linear {share:g}"] = probe.linear(features, *args).accuracy
            found[f"spread {share:g}"] = spread_linear(sides, *args).accuracy
        return found


@dataclass(frozen=True, slots=True)
class Supervised:
    """The same network, taught with all labels."""

    seed: int
    how: downstream.Teaching = TEACHING

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracy of the epoch that its own stopping rule keeps."""
        began_s = time.process_time()
        task = lab.task("sequence", self.seed)
        encoder = initial_encoder(EDGE, lab.data.keys.shape[1], seed=self.seed, weights="")
        _, curve = downstream.teach(
            encoder,
            lab.data,
            task.train,
            task.test,
            how=self.how,
            seed=self.seed,
            device=CPU,
            tell=tell,
        )
        return {"accuracy": curve.accuracy[curve.kept], "cpu_s": time.process_time() - began_s}


def table(lengths: Sequence[int], measured: dict[str, Spreads]) -> str:
    """Accuracies, and in points what spread labels are ahead of supervision by, within seeds."""
    columns = [(kind, share) for kind in ("linear", "spread") for share in SHARES]
    head = ["steps", *(f"{100 * share:g} % {kind}" for kind, share in columns), "ahead", "CPU s"]
    best = measured[SUPERVISED]
    rows = [
        [
            str(steps),
            *(shown(measured[str(steps)][f"{kind} {share:g}"]) for kind, share in columns),
            shown(ahead(measured[str(steps)], best), "+.1f"),
            f"{measured[str(steps)]['cpu_s']['mean']:.0f}",
        ]
        for steps in lengths
    ]
    taught = f"supervised, 100 %: {shown(best['accuracy'])}, {best['cpu_s']['mean']:.0f} CPU s"
    return f"{markdown(head, rows)}\n\n{taught}"


def ahead(own: Spreads, best: Spreads) -> dict[str, Any]:
    """By how many points the fewest labels, spread, are better than supervision with all."""
    pairs = zip(own[f"spread {SHARES[0]:g}"]["values"], best["accuracy"]["values"], strict=True)
    return spread([100 * (mine - theirs) for mine, theirs in pairs])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; figures of every seed go to a JSON file in the cache."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.longer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_options(parser)
    parser.add_argument("--lengths", default="500,1500,3000", help="steps, separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=FULL.draws, help="of labels, for each share")
    parser.add_argument("--epochs", type=int, default=FULL.supervised_epochs, help="supervised")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    base = settled(replace(settings_for("edge", ""), device="cpu", batch=FULL.batch), EDGE)
    lengths = [int(steps) for steps in options.lengths.split(",")]
    seeds = range(options.seeds)
    teaching = replace(TEACHING, epochs=options.epochs)
    try:
        measured = measure(
            {
                SUPERVISED: [Supervised(seed, teaching) for seed in seeds],
                **{
                    str(steps): [
                        Pretrained(replace(base, total_steps=steps), seed, options.draws)
                        for seed in seeds
                    ]
                    for steps in lengths
                },
            },
            samples_folder(options),
            options,
        )
    except RvsenseError as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    write_file(Path(options.cache) / "longer.json", json.dumps(measured, indent=1).encode())
    print(table(lengths, measured))


if __name__ == "__main__":
    main()
