"""How far a model's answers can be trusted, on frames it was never shown.

    rvsense simulate seen --sequences 96 --frames 30 --sites 4 --seed 3
    rvsense simulate unseen --sequences 900 --frames 1 --sites 5 --seed 3
    python -m bench.trust seen unseen [--seconds 110 | --model-dir DIR] [--labels 0.01]

The sequences of the second data set whose names the first lacks are held out; its sites that the
first lacks are another site's clutter. Learning goes through the learner's own message handler,
labels included; `--keep DIR` keeps the model for `--model-dir`. Printed is one JSON map:

- `ece` (15 bins), log-loss and accuracy of the probabilities on held-out frames of known sites.
  `ece_floor` is what perfectly calibrated answers of these confidences would show on so few
  frames, since the error cannot be negative;
- accuracy at full and lesser coverage, the least familiar or the least sure left out first, on
  held-out frames of known sites, and of all sites;
- AUROC of `ood_score`: held-out frames of known sites against noise, exchanged antennas, and
  another site;
- shares of frames above thresholds, and what the score costs.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.stream_probe import pairs
from rvsense import link
from rvsense.answer import Answer
from rvsense.config import Learning, Serving
from rvsense.errors import UsageError
from rvsense.frames import scene_class
from rvsense.learner.main import build_trainer
from rvsense.learner.service import Service
from rvsense.model import ServableModel
from rvsense.policy import abstention
from rvsense.published import list_models, open_model
from rvsense.replay.dsp import ANTENNAS, taylor_window
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence
from rvsense.trust import Record, calibration_error, coverage_curve

Heatmap = NDArray[np.float32]
STRANGE_FRAMES = 150
FLOOR_DRAWS = 200
ORDERS = {
    "neighbours_swapped": (0, 1, 2, 3, 5, 4, 6, 7),
    "first_two_receivers_swapped": (0, 2, 1, 3, 4, 5, 6, 7),
    "transmitters_swapped": (4, 5, 6, 7, 0, 1, 2, 3),
    "reversed": (7, 6, 5, 4, 3, 2, 1, 0),
}


def learn(sequences: list[Sequence], seconds: float, share: float, state_dir: Path) -> Path:
    """Learn the stream for so much CPU time, with a share of its labels; the published model."""
    trainer = build_trainer(Learning(preset="edge", device="cpu"), seed=0)
    service = Service(trainer, state_dir, send=lambda *_: True)
    service.hear(b"1", link.pack("hello", lockstep=True, daemon="bench", life="1"))
    for label in _labels(sequences, share):
        service.hear(b"1", link.pack_label(label))
    start = time.process_time()
    for lap in range(10_000):
        for pair in pairs(sequences, lap):
            service.hear(b"1", link.pack_pair(pair))
            if time.process_time() - start > seconds:
                service.hear(b"1", link.pack("drain"))
                return list_models(state_dir / "models")[-1]
    raise UsageError(f"the sequences hold no pairs to learn from for {seconds} s")


def _labels(sequences: list[Sequence], share: float) -> Iterator[link.Label]:
    frames = [(number, item) for number, s in enumerate(sequences) for item in s.radar_ns]
    chosen = random.Random(1).sample(frames, max(round(share * len(frames)), 2))
    for number, frame_id in chosen:
        sequence = sequences[number]
        name = scene_class(sequence.objects(frame_id) or ())
        if name is not None:
            frame = sequence.read_radar(frame_id)
            yield link.Label(sequence.site, number, frame.stamp_ns, name, frame.heatmap)


def exchanged(heatmap: Heatmap, order: tuple[int, ...]) -> Heatmap:
    """The heatmap as a radar would give it whose antennas are wired in another order."""
    maps = heatmap[..., 0] + 1j * heatmap[..., 1]
    window = taylor_window()
    antennas = np.fft.ifft(np.fft.ifftshift(maps, axes=-1), axis=-1)[..., :ANTENNAS] / window
    wired = antennas[..., list(order)] * window
    again = np.fft.fftshift(np.fft.fft(wired, maps.shape[-1], axis=-1), axes=-1)
    return np.stack([again.real, again.imag], axis=-1).astype(np.float32)


def noise(generator: np.random.Generator) -> Callable[[Heatmap], Heatmap]:
    """White noise of a heatmap's own power."""
    return lambda heatmap: (heatmap.std() * generator.standard_normal(heatmap.shape)).astype("f4")


class Answers:
    """A model's answers to the first frame of each sequence, with the truth."""

    def __init__(
        self,
        model: ServableModel,
        sequences: list[Sequence],
        change: Callable[[Heatmap], Heatmap] = lambda heatmap: heatmap,
    ) -> None:
        self.answers: list[Answer] = []
        self.right: list[bool] = []
        self.record = Record()
        for sequence in sequences:
            frame_id = next(iter(sequence.radar_ns))
            truth = scene_class(sequence.objects(frame_id) or ())
            if truth is None:
                continue
            (answer,) = model.classify([change(sequence.read_radar(frame_id).heatmap)])
            self.answers.append(answer)
            self.right.append(answer.label == truth)
            self.record.add(max(answer.probs.values()), answer.probs[truth], right=self.right[-1])

    @property
    def scores(self) -> list[float]:
        """How unfamiliar each frame is."""
        return [answer.ood_score or 0.0 for answer in self.answers]

    @property
    def confidences(self) -> list[float]:
        """Of the likeliest class of each."""
        return [max(answer.probs.values()) for answer in self.answers]

    def curve(self, distrust: list[float]) -> dict[str, float]:
        """Accuracy by coverage."""
        points = coverage_curve(list(zip(distrust, self.right, strict=True)))
        return {f"{point['coverage']:.2f}": round(point["accuracy"], 3) for point in points}

    def withheld(self) -> dict[str, float]:
        """Shares of answers that a daemon with the default thresholds withholds, by reason."""
        reasons = [abstention(answer, Serving()) for answer in self.answers]
        return {
            reason: round(reasons.count(reason) / len(reasons), 3)
            for reason in ("out_of_distribution", "low_confidence")
        }


def ece_floor(confidences: list[float]) -> float:
    """The expected calibration error of answers that are right exactly as often as they say."""
    rng = random.Random(0)
    draws = [
        calibration_error([(c, rng.random() < c) for c in confidences]) or 0.0
        for _ in range(FLOOR_DRAWS)
    ]
    return sum(draws) / len(draws)


def measure(model: ServableModel, known: list[Sequence], elsewhere: list[Sequence]) -> Any:
    """Everything that is printed."""
    held, other = Answers(model, known), Answers(model, elsewhere)
    every = Answers.__new__(Answers)
    every.answers, every.right = held.answers + other.answers, held.right + other.right
    some = known[:STRANGE_FRAMES]
    strange = {"white_noise": Answers(model, some, noise(np.random.default_rng(0)))}
    for name, order in ORDERS.items():
        strange[name] = Answers(model, some, partial(exchanged, order=order))
    strange["another_site"] = other
    return {
        "held_out": held.record.as_map() | {"ece_floor": ece_floor(held.confidences)},
        "other_site": other.record.as_map(),
        "coverage_by_ood_score": held.curve(held.scores),
        "coverage_by_confidence": held.curve([-c for c in held.confidences]),
        "coverage_by_ood_score_all_sites": every.curve(every.scores),
        "auroc": {name: round(_auroc(held, those), 3) for name, those in strange.items()},
        "withheld": {"held_out": held.withheld()}
        | {name: those.withheld() for name, those in strange.items()},
        "ood_score_quantiles": np.quantile(held.scores, [0.5, 0.9, 0.95, 0.99]).round(2).tolist(),
    }


def _auroc(held: Answers, strange: Answers) -> float:
    truth = [0] * len(held.scores) + [1] * len(strange.scores)
    return float(roc_auc_score(truth, held.scores + strange.scores))


def main() -> None:
    """Learn or load, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("seen")
    parser.add_argument("unseen")
    parser.add_argument("--seconds", type=float, default=110.0, help="CPU time of learning")
    parser.add_argument("--labels", type=float, default=0.01, help="share of labels")
    parser.add_argument("--model-dir", type=Path, help="measure this model; learn nothing")
    parser.add_argument("--keep", type=Path, help="state directory to learn in")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seen = [s for s in open_dataset(options.seen).sequences if s.split == "train"]
    names, sites = {s.name for s in seen}, {s.site for s in seen}
    unseen = [s for s in open_dataset(options.unseen).sequences if s.name not in names]
    random.Random(0).shuffle(seen)
    random.Random(0).shuffle(unseen)
    with tempfile.TemporaryDirectory() as scratch:
        state_dir = options.keep or Path(scratch)
        path = options.model_dir or learn(seen, options.seconds, options.labels, state_dir)
        model = ServableModel(open_model(path), torch.device("cpu"))
    known = [s for s in unseen if s.site in sites]
    figures = measure(model, known, [s for s in unseen if s.site not in sites])
    print(json.dumps({"model": model.published.id} | figures, indent=1))


if __name__ == "__main__":
    main()
