"""How good a radar-only answer could be: supervised training on about ten times the sequences.

    rvsense simulate DATA --sequences 600 --frames 16 --sites 8 --seed 1
    rvsense simulate MORE --sequences 6000 --frames 2 --sites 8 --seed 1
    python -m bench.ceiling DATA MORE [--epochs 8]

Both sides are tested on the sequences of DATA that `rvsense evaluate` holds out with the same
seed. One learns from its training side, the other also from every sequence of MORE that DATA
does not have (the same seed makes the same sites, and MORE begins with DATA's sequences).
"""

import argparse
from collections.abc import Sequence as Words
from dataclasses import replace

import torch
from tqdm import tqdm

from bench.cached import CPU, EDGE, add_source_options, open_lab, samples_folder
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.features import encoder_input
from rvsense.frames import CLASSES, scene_class
from rvsense.learner.offline.downstream import Teaching, teach
from rvsense.learner.offline.plan import FULL
from rvsense.learner.offline.samples import Samples, join
from rvsense.learner.offline.task import balanced
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence


def labelled(sequences: list[Sequence], key_dim: int, first: int) -> Samples:
    """Every frame of one class, of sequences numbered from `first`; keys are left at zero."""
    inputs, labels, numbers = [], [], []
    for number, sequence in enumerate(tqdm(sequences, desc="reading", disable=None), start=first):
        for frame_id in sequence.radar_ns:
            objects = sequence.objects(frame_id)
            name = None if objects is None else scene_class(objects)
            if name is not None:
                heatmap = torch.from_numpy(sequence.read_radar(frame_id).heatmap)
                inputs.append(encoder_input(heatmap[None], EDGE.channels)[0].half())
                labels.append(CLASSES.index(name))
                numbers.append(number)
    n = len(labels)
    return Samples(
        inputs=torch.stack(inputs),
        keys=torch.zeros(n, key_dim, dtype=torch.float16),
        labels=torch.tensor(labels),
        range_m=torch.full((n,), float("nan")),
        stamps_ns=torch.zeros(n, dtype=torch.int64),
        sequences=torch.tensor(numbers),
        sites=torch.full((n,), -1),
    )


def main(arguments: Words[str] | None = None) -> None:
    """Print accuracy and log-loss of both, on the same held-out frames."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_source_options(parser)
    parser.add_argument("more")
    parser.add_argument("--epochs", type=int, default=8, help="over the larger set")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lab = open_lab(samples_folder(options))
    task = lab.task("sequence", 0)
    known = {sequence.name for sequence in open_dataset(options.dataset).sequences}
    extra = [s for s in open_dataset(options.more).sequences if s.name not in known]
    first = int(lab.data.sequences.max()) + 1
    data = join([lab.data, labelled(extra, lab.data.keys.shape[1], first)])
    added = torch.arange(len(lab.data), len(data))
    more = torch.cat([task.train, balanced(added, data.labels, torch.Generator().manual_seed(0))])
    key_dim = lab.data.keys.shape[1]
    how = Teaching(
        epochs=FULL.supervised_epochs,
        learning_rate=FULL.supervised_rate,
        weight_decay=FULL.weight_decay,
    )
    for name, rows, plan in (
        ("training side of DATA", task.train, how),
        ("with MORE", more, replace(how, epochs=options.epochs)),
    ):
        encoder = build_encoder(EncoderSpec(EDGE.encoder, EDGE.channels, key_dim), seed=0)
        _, curve = teach(encoder, data, rows, task.test, how=plan, seed=0, device=CPU)
        sequences = len(torch.unique(data.sequences[rows]))
        print(
            f"{name}: {len(rows)} frames of {sequences} sequences, accuracy "
            f"{curve.accuracy[curve.kept]:.3f}, log-loss {curve.loss[curve.kept]:.3f} "
            f"(epoch {curve.epochs[curve.kept]:g} of {curve.epochs[-1]:g})",
            flush=True,
        )


if __name__ == "__main__":
    main()
