"""Few labels spread through the camera: better answers from radar, and honest about how good."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rvsense.head import HeadFit
from rvsense.learner import headfit, spreading
from rvsense.learner.spreading import Frames, fit_spread_head, foreground

CLASSES = 4
KEY_DIM = 40


def world(count: int, *, seed: int, radar_noise: float = 2.0) -> tuple[Frames, Tensor]:
    """Pictures tell the classes apart well, radar badly; at two sites, in stretches of four."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) // 4 % CLASSES
    sites = torch.arange(count) % 2
    fixed = torch.Generator().manual_seed(9)
    shown, places = torch.randn(CLASSES, KEY_DIM, generator=fixed), torch.ones(2, KEY_DIM)
    places[1] = 8 * torch.randn(KEY_DIM, generator=fixed)
    keys = shown[labels] + places[sites] + 0.3 * torch.randn(count, KEY_DIM, generator=generator)
    centres = torch.randn(CLASSES, 12, generator=fixed)
    features = centres[labels] + radar_noise * torch.randn(count, 12, generator=generator)
    return Frames(features, keys.half(), sites, torch.arange(count) // 4), labels


def test_a_handful_of_labels_is_worth_more_with_a_camera() -> None:
    """Eight labels and 400 pairs without any: the head answers better, from features alone."""
    frames, labels = world(408, seed=0)
    few = torch.arange(0, 32, 4)
    rest = torch.arange(32, 408)
    tests, truth = world(400, seed=1)
    spread = fit_spread_head(frames.take(few), labels[few], frames.take(rest))
    alone = headfit.fit_head(frames.features[few], labels[few], frames.groups[few])
    assert spread is not None
    assert alone is not None

    def right(head: HeadFit) -> float:
        answers = head.probabilities(tests.features).argmax(dim=1)
        return float((answers == truth).double().mean())

    assert right(spread.head) > right(alone) + 0.1
    assert (spread.named == labels[rest]).double().mean() > 0.95
    assert len(rest) / 2 <= spread.pairs <= len(rest)
    assert spread.head.labels == dict.fromkeys(spread.head.labels, 2)


def test_the_same_frames_give_the_same_head() -> None:
    """To the bit: it is part of what a restored learner repeats."""
    frames, labels = world(160, seed=0)
    one, other = (
        fit_spread_head(
            frames.take(torch.arange(32)), labels[:32], frames.take(torch.arange(32, 160))
        )
        for _ in range(2)
    )
    assert one is not None
    assert other is not None
    assert torch.equal(one.head.weight, other.head.weight)
    assert (one.head.temperature, one.head.ece) == (other.head.temperature, other.head.ece)


def test_near_copies_of_a_labelled_frame_do_not_measure_it() -> None:
    """Features and pictures know the stretch and nothing else: out of fold that is chance.

    Each label has three unlabelled near copies in the pool, which would give it away.
    """
    count = 80
    stretch = torch.arange(4 * count) // 4
    labels = torch.randint(CLASSES, (count,), generator=torch.Generator().manual_seed(3))
    known = torch.eye(count)[stretch]
    frames = Frames(known, 5 * known, torch.zeros(len(stretch)), stretch)
    labelled = torch.arange(len(stretch)) % 4 == 0
    rows, rest = labelled.nonzero()[:, 0], (~labelled).nonzero()[:, 0]
    spread = fit_spread_head(frames.take(rows), labels, frames.take(rest))
    assert spread is not None
    assert (spread.named == labels[stretch[rest]]).double().mean() > 0.9
    assert spread.head.accuracy is not None
    assert spread.head.accuracy < 0.5


def test_confidence_is_that_of_the_answers() -> None:
    """With radar that tells little, a dozen labels make no sure head: within 5 points."""
    frames, labels = world(812, seed=0, radar_noise=3.0)
    spread = fit_spread_head(
        frames.take(torch.arange(0, 48, 4)), labels[:48:4], frames.take(torch.arange(48, 812))
    )
    tests, truth = world(2000, seed=1, radar_noise=3.0)
    assert spread is not None
    confidence, answers = spread.head.probabilities(tests.features).max(dim=1)
    right = float((answers == truth).double().mean())
    assert right < 0.8
    assert float(confidence.mean()) == pytest.approx(right, abs=0.05)


def test_what_the_camera_is_not_sure_of_teaches_nothing() -> None:
    """Pictures between two classes are left out; the surest half is not, however unsure."""
    frames, labels = world(200, seed=0)
    few, rest = torch.arange(0, 40), torch.arange(40, 200)
    lesson = spreading.Lesson.of(frames.take(few), labels[few], frames.take(rest))
    every = torch.ones(200, dtype=torch.bool)
    targets = lesson.targets(every)
    targets[40:80] = torch.tensor([0.5, 0.5, 0.0, 0.0]).double()
    targets[80:] = torch.tensor([0.95, 0.05, 0.0, 0.0]).double()
    assert lesson.teaching(every, targets).nonzero()[:, 0].tolist() == [*range(40), *range(80, 200)]
    targets[40:] = torch.linspace(0.3, 0.8, 160)[:, None].double()
    teaching = lesson.teaching(every, targets)
    assert teaching[:40].all()
    assert teaching.nonzero()[40:, 0].tolist() == [*range(120, 200)]


def test_a_label_without_a_picture_teaches_radar_alone() -> None:
    """It counts among the labels, and the camera's layer does without it."""
    frames, labels = world(200, seed=0)
    taught, pool = frames.take(torch.arange(40)), frames.take(torch.arange(40, 200))
    blind = taught.keys.clone()
    blind[::2] = 0
    spread = fit_spread_head(replace(taught, keys=blind), labels[:40], pool)
    without = fit_spread_head(taught.take(torch.arange(1, 40, 2)), labels[1:40:2], pool)
    assert spread is not None
    assert without is not None
    assert sum(spread.head.labels.values()) == 40
    assert torch.equal(spread.named, without.named)
    assert not torch.equal(spread.head.weight, without.head.weight)


def test_where_there_is_nothing_to_spread_there_is_no_head() -> None:
    """One class, no picture of a labelled frame, or no pair."""
    frames, labels = world(80, seed=0)
    taught, pool = frames.take(torch.arange(16)), frames.take(torch.arange(16, 80))
    blind = replace(taught, keys=torch.zeros_like(taught.keys))
    assert fit_spread_head(taught.take(torch.arange(4)), labels[:4], pool) is None
    assert fit_spread_head(blind, labels[:16], pool) is None
    assert fit_spread_head(taught, labels[:16], pool.take(torch.arange(0))) is None


def test_few_labels_make_an_unmeasured_head() -> None:
    """Below MIN_LABELS nobody can say how right it is; how sure it is, the camera can."""
    frames, labels = world(200, seed=0, radar_noise=3.0)
    few = torch.arange(0, 32, 4)
    spread = fit_spread_head(frames.take(few), labels[few], frames.take(torch.arange(32, 200)))
    assert spread is not None
    assert (spread.head.accuracy, spread.head.ece) == (None, None)
    assert spread.head.temperature != 1.0


def test_what_a_picture_shows_beside_its_site() -> None:
    """Two pictures of one scene at two sites are alike; a lone pair of a site is not nothing."""
    frames, labels = world(400, seed=0)
    shown = foreground(frames.keys, frames.sites)
    likeness = torch.nn.functional.normalize(shown, dim=1) @ shown[0]
    same = labels == labels[0]
    assert likeness[same & (frames.sites == 1)].min() > likeness[~same].max()
    assert float(shown.square().mean()) == pytest.approx(1.0)
    lone = frames.sites.clone()
    lone[0] = 7
    assert foreground(frames.keys, lone)[0].norm() > 0.5 * shown[0].norm()
