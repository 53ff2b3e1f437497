"""What frozen features are worth: the linear protocol, nearest neighbours, and the controls."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.encoders import RadarEncoder
from rvsense.frames import CLASSES
from rvsense.learner.headfit import fit_head
from rvsense.learner.offline.samples import Samples
from rvsense.learner.offline.task import Task, label_draw

NEIGHBOURS = 20
POOLED = 16
"""Side of a heatmap after averaging: a linear layer on all 16,384 cells only memorises."""
BATCH = 64


@dataclass(frozen=True, slots=True)
class Features:
    """(n, F) features of both sides of a task, with the labels and sequences of each row."""

    train: Tensor
    test: Tensor
    train_labels: Tensor
    test_labels: Tensor
    train_groups: Tensor

    @staticmethod
    def of(columns: Tensor, data: Samples, task: Task) -> "Features":
        """From a table of features of all samples."""
        return Features(
            columns[task.train],
            columns[task.test],
            data.labels[task.train],
            data.labels[task.test],
            data.sequences[task.train],
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """Mean accuracy over draws of labels, and the last draw's (m, 4) test probabilities."""

    accuracy: float
    probabilities: Tensor


@torch.inference_mode()
def features_of(encoder: RadarEncoder, data: Samples, rows: Tensor) -> Tensor:
    """(m, F) features of the given rows."""
    device = next(encoder.eval().parameters()).device
    parts = [
        encoder.features(data.inputs[r].float().to(device)).cpu() for r in torch.split(rows, BATCH)
    ]
    return torch.cat(parts)


def encoder_features(encoder: RadarEncoder, data: Samples, task: Task) -> Features:
    """Features of an encoder, of the rows that the task uses and no others."""
    rows = torch.cat([task.train, task.test])
    columns = torch.zeros(len(data), encoder.feature_dim)
    columns[rows] = features_of(encoder, data, rows)
    return Features.of(columns, data, task)


def raw_features(data: Samples, task: Task) -> Features:
    """The heatmap itself, averaged to POOLED × POOLED: the control without an encoder."""
    rows = torch.cat([task.train, task.test])
    parts = [
        F.adaptive_avg_pool2d(data.inputs[r].float(), POOLED).flatten(1)
        for r in torch.split(rows, BATCH)
    ]
    columns = torch.zeros(len(data), parts[0].shape[1])
    columns[rows] = torch.cat(parts)
    return Features.of(columns, data, task)


def teacher_features(data: Samples, task: Task) -> Features:
    """The teacher's keys of the images: the ceiling that a student can learn from."""
    return Features.of(data.keys.float(), data, task)


def linear(features: Features, share: float, draws: int, seed: int) -> Scored:
    """The linear protocol with a share of the labels, over several draws of them."""
    generator = torch.Generator().manual_seed(seed)
    every = torch.arange(len(features.train_labels))
    accuracies = []
    for _ in range(1 if share >= 1 else draws):
        rows = label_draw(every, features.train_labels, share, generator)
        head = fit_head(
            features.train[rows], features.train_labels[rows], features.train_groups[rows]
        )
        assert head is not None  # a balanced draw has every class
        probabilities = head.probabilities(features.test)
        right = probabilities.argmax(dim=1) == features.test_labels
        accuracies.append(float(right.double().mean()))
    return Scored(sum(accuracies) / len(accuracies), probabilities)


def nearest_neighbours(features: Features) -> float:
    """Accuracy of a vote of the NEIGHBOURS most alike by cosine, all labels known."""
    train, test = F.normalize(features.train, dim=1), F.normalize(features.test, dim=1)
    nearest = (test @ train.T).topk(min(NEIGHBOURS, len(train)), dim=1).indices
    votes = F.one_hot(features.train_labels[nearest], len(CLASSES)).sum(dim=1)
    return float((votes.argmax(dim=1) == features.test_labels).double().mean())


def confusion(answers: Tensor, labels: Tensor) -> list[list[int]]:
    """Counts by true class (rows) and answer (columns)."""
    flat = torch.bincount(labels * len(CLASSES) + answers, minlength=len(CLASSES) ** 2)
    table: list[list[int]] = flat.reshape(len(CLASSES), len(CLASSES)).tolist()
    return table
