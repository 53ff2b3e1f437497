"""The stages of the paper's protocol as units of work: each reads samples, each leaves a result.

Encoders travel between stages as files beside the results.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from rvsense.atomic import write_file
from rvsense.config import Learning
from rvsense.encoders import RadarEncoder
from rvsense.head import HeadFit
from rvsense.learner.headfit import calibration_error, fit_head
from rvsense.learner.offline import downstream, probe
from rvsense.learner.offline.crew import Tell
from rvsense.learner.offline.plan import Plan, pretraining
from rvsense.learner.offline.pretrain import pretrain
from rvsense.learner.offline.samples import Samples
from rvsense.learner.offline.spread_labels import Sides, spread_linear
from rvsense.learner.offline.task import Task, label_draw, make_task
from rvsense.learner.presets import PRESETS, initial_encoder

RANGE_EDGES_M = (0.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 25.0)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
LABEL_SEED = 1000
"""Plus the run's own: the first draw of labels of the linear layer is everyone else's too."""
ECE_DRAW_SHARE = 0.1
"""Probabilities are judged on heads that saw this share of the labels."""


@dataclass(slots=True)
class Bench:
    """What every stage works with; opened once in each process."""

    data: Samples
    plan: Plan
    learning: Learning
    preset: str
    split: str
    folder: Path
    device: torch.device
    tasks: dict[int, Task] = field(default_factory=dict)

    def task(self, seed: int) -> Task:
        """The split of a seed."""
        if seed not in self.tasks:
            groups = self.data.sites if self.split == "site" else self.data.sequences
            self.tasks[seed] = make_task(self.data.labels, groups, self.split, seed)
        return self.tasks[seed]

    def fresh(self, seed: int) -> RadarEncoder:
        """The encoder before any training, the same for every method."""
        encoder = initial_encoder(
            PRESETS[self.preset],
            self.data.keys.shape[1],
            seed=seed,
            weights=self.learning.teacher_weights,
            short_keys=self.learning.short_keys,
        )
        return encoder.to(self.device)

    def weights_path(self, name: str) -> Path:
        """Where the network of a stage lies."""
        return self.folder / f"{name}.safetensors"

    def pretrained(self, seed: int) -> RadarEncoder:
        """What the pre-training of a seed left."""
        encoder = self.fresh(seed)
        encoder.load_state_dict(load_file(self.weights_path(f"pretrain-{seed}")))
        return encoder

    def labelled(self, seed: int, share: float) -> Tensor:
        """The rows whose labels a method may see: the same ones for each method."""
        generator = torch.Generator().manual_seed(LABEL_SEED + seed)
        return label_draw(self.task(seed).train, self.data.labels, share, generator)


@dataclass(frozen=True, slots=True)
class Pretrain:
    """Contrastive pre-training; leaves the encoder."""

    seed: int

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """Figures of the last steps."""
        learning = pretraining(bench.learning, bench.plan)
        done = _pretrain(bench, learning, self.seed, tell)
        save_network(bench.weights_path(f"pretrain-{self.seed}"), done.encoder)
        return {"loss": done.loss, "bound": done.mi_bound, "ceiling": done.mi_ceiling,
                "instance_top1": done.instance_top1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sweep:
    """A shorter pre-training with a batch size and a K of Fig. 4, and its linear accuracy."""

    seed: int
    batch: int
    queue: int

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """Linear accuracy with all labels, and the bound beside its ceiling."""
        learning = pretraining(
            bench.learning,
            bench.plan,
            batch=self.batch,
            queue=self.queue,
            total_steps=bench.plan.sweep_steps,
            negatives="all",  # so that K is the number of negatives, as in the figure
        )
        done = _pretrain(bench, learning, self.seed, tell)
        features = probe.encoder_features(done.encoder, bench.data, bench.task(self.seed))
        accuracy = probe.linear(features, 1.0, 1, self.seed).accuracy
        return {"accuracy": accuracy, "bound": done.mi_bound, "ceiling": done.mi_ceiling}


@dataclass(frozen=True, slots=True)
class Taught:
    """`finetune`, from the pre-trained encoder, or `supervised`, from the fresh one."""

    seed: int
    share: float
    method: str

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """Accuracy of the epoch kept, the curve, and with all labels the confusion."""
        tuned = self.method == "finetune"
        encoder = bench.pretrained(self.seed) if tuned else bench.fresh(self.seed)
        plan, task, data = bench.plan, bench.task(self.seed), bench.data
        epochs = plan.finetune_epochs if tuned else plan.supervised_epochs
        how = downstream.Teaching(
            epochs=epochs,
            least_steps=plan.finetune_least_steps if tuned else plan.least_steps,
            batch=plan.batch,
            learning_rate=plan.finetune_rate if tuned else plan.supervised_rate,
            weight_decay=plan.weight_decay,
            augmented=PRESETS[bench.preset].augments,
        )
        rows = bench.labelled(self.seed, self.share)
        network, curve = downstream.teach(
            encoder, data, rows, task.test, how=how, seed=self.seed, device=bench.device, tell=tell
        )
        answers = downstream.logits_of(network, data, task.test).argmax(dim=1)
        if self.share >= 1:
            save_network(bench.weights_path(f"{self.method}-{self.seed}"), network)
        return {
            "labels": len(rows),
            "accuracy": curve.accuracy[curve.kept],
            "loss": curve.loss[curve.kept],
            "curve": asdict(curve),
            "confusion": probe.confusion(answers, data.labels[task.test]),
            "by_range": by_range(answers, data, task),
        }


@dataclass(frozen=True, slots=True)
class Probe:
    """The linear protocol on a seed's frozen features, with every control beside it."""

    seed: int

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """Accuracies by share of labels; controls; confusion, range and trust of one head."""
        data, task, plan = bench.data, bench.task(self.seed), bench.plan
        found = probe.encoder_features(bench.pretrained(self.seed), data, task)
        fresh = probe.encoder_features(bench.fresh(self.seed), data, task)
        result: dict[str, Any] = {"linear": {}, "init": {}}
        scored = {}
        draws, seed = plan.draws, LABEL_SEED + self.seed
        for share in plan.shares:
            scored[share] = probe.linear(found, share, draws, seed)
            result["linear"][str(share)] = scored[share].accuracy
            result["init"][str(share)] = probe.linear(fresh, share, draws, seed).accuracy
            tell(0.5 / len(plan.shares))
        answers = scored[plan.shares[-1]].probabilities.argmax(dim=1)
        result |= {
            "teacher": _all_labels(probe.teacher_features(data, task), self.seed),
            "raw": _all_labels(probe.raw_features(data, task), self.seed),
            "knn": probe.nearest_neighbours(found),
            "confusion": probe.confusion(answers, data.labels[task.test]),
            "by_range": by_range(answers, data, task),
            "trust": trust(found, self.seed),
        }
        return result


@dataclass(frozen=True, slots=True)
class SpreadLabels:
    """The linear protocol on a seed's frozen features, its labels spread through the camera."""

    seed: int

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """By share of labels: accuracy, calibration error, and how rightly labels were spread."""
        plan, task = bench.plan, bench.task(self.seed)
        sides = Sides.of(bench.pretrained(self.seed), bench.data, task)
        result: dict[str, Any] = {"accuracy": {}, "ece": {}, "named": {}}
        for share in plan.shares:
            scored = spread_linear(sides, share, plan.draws, LABEL_SEED + self.seed)
            for name, value in asdict(scored).items():
                result[name][str(share)] = value
            tell(1.0 / len(plan.shares))
        return result


def trust(features: probe.Features, seed: int) -> dict[str, Any]:
    """ECE (15 bins), log-loss and accuracy against coverage of a head with a tenth of the labels.

    Coverage leaves out the least confident answers first.
    """
    generator = torch.Generator().manual_seed(seed)
    every = torch.arange(len(features.train_labels))
    rows = label_draw(every, features.train_labels, ECE_DRAW_SHARE, generator)
    head: HeadFit | None = fit_head(
        features.train[rows], features.train_labels[rows], features.train_groups[rows]
    )
    assert head is not None  # a balanced draw has every class
    probabilities = head.probabilities(features.test).double()
    confidence, answers = probabilities.max(dim=1)
    right = (answers == features.test_labels).double()[confidence.argsort(descending=True)]
    own = probabilities[torch.arange(len(right)), features.test_labels]
    return {
        "ece": calibration_error(probabilities, features.test_labels),
        "log_loss": float(-own.clamp_min(1e-12).log().mean()),
        "coverage": {str(c): float(right[: math.ceil(c * len(right))].mean()) for c in COVERAGES},
    }


def by_range(answers: Tensor, data: Samples, task: Task) -> dict[str, Any]:
    """Right answers and frames by distance of the nearest object; empty scenes have none."""
    ranges, truth = data.range_m[task.test], data.labels[task.test]
    bins = torch.bucketize(ranges.nan_to_num(-1.0), torch.tensor(RANGE_EDGES_M))
    counts = [(bins == i) for i in range(1, len(RANGE_EDGES_M))]
    return {
        "edges_m": list(RANGE_EDGES_M),
        "frames": [int(own.sum()) for own in counts],
        "right": [int((answers == truth)[own].sum()) for own in counts],
    }


def save_network(path: Path, network: torch.nn.Module) -> None:
    """Write a network's tensors, whole or not at all."""
    write_file(path, to_bytes({k: v.contiguous() for k, v in network.state_dict().items()}))


def _pretrain(bench: Bench, learning: Learning, seed: int, tell: Tell) -> Any:
    share = 1.0 / max(learning.total_steps, 1)
    return pretrain(
        bench.fresh(seed),
        bench.data,
        bench.task(seed).pretrain,
        learning,
        PRESETS[bench.preset],
        seed=seed,
        device=bench.device,
        after_step=lambda _: tell(share),
    )


def _all_labels(features: probe.Features, seed: int) -> float:
    return probe.linear(features, 1.0, 1, seed).accuracy
