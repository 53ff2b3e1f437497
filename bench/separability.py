"""How well the four classes can be told apart, by held-out sequence, without learning features.

`python bench/separability.py DATASET`: logistic regression on the edge teacher's features of
the images, and on the raw heatmap alone and with the motion of its four chirps, as controls.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rvsense.features import CHANNELS, encoder_input
from rvsense.frames import CLASSES, scene_class
from rvsense.learner.teacher import edge_teacher
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence

Array = npt.NDArray[np.float64]

POOLED = 32
"""Side of the heatmap after averaging: a linear model on all 16,384 cells only memorises."""


def frames_of(sequence: Sequence, every: int) -> Iterator[tuple[int, str]]:
    """Every n-th frame that has an image and one class."""
    for frame_id in sequence.frame_ids[::every]:
        objects = sequence.objects(frame_id)
        if objects is None or frame_id not in sequence.camera_ns:
            continue
        label = scene_class(tuple(objects))
        if label is not None:
            yield frame_id, label


def main() -> None:
    """Read the dataset, fit three classifiers five times, print mean accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    teacher = edge_teacher("", torch.device("cpu"))
    images, heatmaps, motions, labels, groups = [], [], [], [], []
    for group, sequence in enumerate(open_dataset(arguments.dataset).sequences):
        for frame_id, label in frames_of(sequence, arguments.every):
            camera = sequence.read_camera(frame_id)
            images.append(teacher.encode(camera.codec, camera.image, camera.shape).numpy())
            radar = torch.from_numpy(np.array(sequence.read_radar(frame_id).heatmap))
            both = torch.nn.functional.adaptive_avg_pool2d(
                encoder_input(radar[None], CHANNELS), POOLED
            )[0]
            heatmaps.append(both[0].flatten().numpy())
            motions.append(both.flatten().numpy())
            labels.append(CLASSES.index(label))
            groups.append(group)
    truth, owner = np.array(labels), np.array(groups)
    print(f"{len(truth)} frames of {len(set(groups))} sequences, 5 splits by sequence")
    for name, rows in (
        ("teacher on images", images),
        ("raw heatmap, magnitude", heatmaps),
        ("raw heatmap, magnitude and motion", motions),
    ):
        report(name, np.array(rows, dtype=np.float64), truth, owner)


def report(
    name: str, rows: Array, truth: npt.NDArray[np.int_], owner: npt.NDArray[np.int_]
) -> None:
    """Five random splits, a quarter of the sequences held out each time."""
    accuracies, confusion = [], np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int_)
    for draw in range(5):
        sequences = np.random.default_rng(draw).permutation(np.unique(owner))
        held = np.isin(owner, sequences[: len(sequences) // 4])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=400))
        model.fit(rows[~held], truth[~held])
        guess = model.predict(rows[held])
        accuracies.append(float((guess == truth[held]).mean()))
        confusion += confusion_matrix(truth[held], guess, labels=range(len(CLASSES)))
    print(f"{name}: {np.mean(accuracies):.3f} ± {np.std(accuracies):.3f}")
    print("  " + " ".join(f"{c:>10}" for c in CLASSES))
    for label, row in zip(CLASSES, confusion, strict=True):
        print("  " + " ".join(f"{n:10d}" for n in row) + f"  {label}")


if __name__ == "__main__":
    main()
