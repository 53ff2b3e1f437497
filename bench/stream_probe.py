"""What lock-step learning on a stream is worth: the head before and after, on unseen sequences.

    python -m bench.stream_probe DATASET [--seconds 300] [--labels 0.01] [--draws 5]

Every second sequence of each class is learned from, thinned to pairs at 5 Hz and fed in stream
order through the learner's own message handler, again as a new epoch when it ends, until the
time of one core is spent. The other sequences are only ever tested on. The head is the
learner's; it sees a random share of the labels of the learned sequences, in several draws.
"""

import argparse
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rvsense import link
from rvsense.config import Learning
from rvsense.errors import UsageError
from rvsense.frames import CLASSES, scene_class
from rvsense.learner.headfit import fit_head
from rvsense.learner.labels import stretch_of
from rvsense.learner.main import build_trainer
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence

THIN_FRAMES = 6
"""30 frames a second to 5 pairs a second, the daemon's default."""
TEST_EVERY = 4
"""Neighbouring frames are near copies: a quarter of them measures as well."""


def split(sequences: list[Sequence], seed: int) -> tuple[list[Sequence], list[Sequence]]:
    """Sequences to learn from and to test on: half of each class each."""
    by_class: dict[Any, list[Sequence]] = defaultdict(list)
    for sequence in sequences:
        by_class[_label(sequence, sequence.frame_ids[0])].append(sequence)
    learned, tested = [], []
    for members in by_class.values():
        members.sort(key=lambda item: item.name)
        random.Random(seed).shuffle(members)
        learned += members[::2]
        tested += members[1::2]
    random.Random(seed).shuffle(learned)
    return learned, tested


def _label(sequence: Sequence, frame_id: int) -> int | None:
    objects = sequence.objects(frame_id)
    name = None if objects is None else scene_class(objects)
    return None if name is None else CLASSES.index(name)


def labelled(trainer: Trainer, sequences: list[Sequence], every: int) -> tuple[Tensor, ...]:
    """Inputs, classes and groups of every `every`-th labelled frame."""
    inputs, labels, groups = [], [], []
    for sequence in sequences:
        for frame_id in list(sequence.radar_ns)[::every]:
            label = _label(sequence, frame_id)
            if label is not None:
                inputs.append(trainer.prepare(sequence.read_radar(frame_id).heatmap))
                labels.append(label)
                groups.append(stretch_of(sequence.name, 0, sequence.radar_ns[frame_id]))
    return torch.stack(inputs), torch.tensor(labels), torch.tensor(groups)


def pairs(sequences: list[Sequence], lap: int) -> Iterator[link.Pair]:
    """The stream of one lap; each sequence is a new epoch of its site's clock."""
    for number, sequence in enumerate(sequences):
        for frame_id in list(sequence.radar_ns)[::THIN_FRAMES]:
            if frame_id not in sequence.camera_ns:
                continue
            radar, camera = sequence.read_radar(frame_id), sequence.read_camera(frame_id)
            yield link.Pair(
                site=sequence.site,
                epoch=lap * len(sequences) + number,
                stamp_ns=radar.stamp_ns,
                radar_seq=frame_id,
                camera_seq=frame_id,
                skew_ns=0,
                codec="jpeg",
                heatmap=radar.heatmap,
                image=camera.image,
            )


def accuracy(
    trainer: Trainer, train: tuple[Tensor, ...], test: tuple[Tensor, ...], share: float, draws: int
) -> tuple[float, float]:
    """Mean and deviation over draws of labels of the accuracy on all of `test`."""
    seen, unseen = trainer.features(train[0]), trainer.features(test[0])
    generator = torch.Generator().manual_seed(0)
    results = []
    for _ in range(draws):
        rows = torch.randperm(len(seen), generator=generator)[: max(round(share * len(seen)), 2)]
        head = fit_head(seen[rows], train[1][rows], train[2][rows])
        if head is None:
            raise UsageError(f"{len(rows)} labels of one class: raise --labels or add sequences")
        answers = head.probabilities(unseen).argmax(dim=1)
        results.append(float((answers == test[1]).float().mean()))
    values = torch.tensor(results)
    return float(values.mean()), float(values.std(correction=0))


def learn(trainer: Trainer, sequences: list[Sequence], seconds: float) -> float:
    """Feed the stream for `seconds` of CPU time; returns the seconds used."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as state_dir:
        service = Service(trainer, Path(state_dir), send=lambda *_: True)
        service.hear(b"1", link.pack("hello", lockstep=True, daemon="bench", life="1"))
        for lap in range(10_000):
            for pair in pairs(sequences, lap):
                service.hear(b"1", link.pack_pair(pair))
                if time.process_time() - start > seconds:
                    return time.process_time() - start
    return time.process_time() - start


def main() -> None:
    """Print one JSON line: both accuracies, the gain, and what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--seconds", type=float, default=300.0, help="CPU time of learning")
    parser.add_argument("--labels", type=float, default=0.01, help="share of labels")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default="{}", help="JSON map of [learning] settings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    learning = replace(Learning(preset="edge", device="cpu"), **json.loads(options.set))
    trainer = build_trainer(learning, options.seed)
    sequences = [s for s in open_dataset(options.dataset).sequences if s.split == "train"]
    learned, tested = split(sequences, options.seed)
    train, test = labelled(trainer, learned, 1), labelled(trainer, tested, TEST_EVERY)
    before = accuracy(trainer, train, test, options.labels, options.draws)
    used = learn(trainer, learned, options.seconds)
    after = accuracy(trainer, train, test, options.labels, options.draws)
    print(
        json.dumps(
            {
                "untrained": round(before[0], 3),
                "untrained_std": round(before[1], 3),
                "trained": round(after[0], 3),
                "trained_std": round(after[1], 3),
                "gain": round(after[0] - before[0], 3),
                "labels": round(options.labels * len(train[1])),
                "sequences": [len(learned), len(tested)],
                "test_frames": len(test[1]),
                "pairs": trainer.counters.pairs,
                "steps": trainer.counters.step,
                "cpu_s": round(used, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
