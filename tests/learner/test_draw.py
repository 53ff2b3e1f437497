"""From the pool to a batch, and the settings that decide what the encoder is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from rvsense import configfile
from rvsense.config import Learning
from rvsense.errors import ConfigError
from rvsense.learner.draw import draw
from rvsense.learner.objective import NS, objective_of
from rvsense.learner.presets import PRESETS, augmentation_of, initial_encoder, preset_of
from rvsense.learner.step import Batch
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]


def batch_of(trainer: Trainer, slots: torch.Tensor) -> Batch:
    """A batch of these slots under the trainer's settings."""
    return draw(
        trainer.pool,
        slots,
        unit=trainer.unit_keys,
        objective=trainer.objective,
        how=trainer.augmentation,
        generator=trainer.generator,
    )


def filled(trainer: Trainer, make_pair: MakePair, pairs: int = 20) -> Trainer:
    """The trainer after some pairs."""
    for i in range(pairs):
        trainer.ingest(make_pair(i))
    return trainer


def test_a_positive_from_nearby_brings_its_own_time(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Key and key time are of one pool pair, within the window of the input's time."""
    changes = {"temporal_positive_s": 0.5, "augment": False, "heldout_pairs": 0}
    trainer = filled(make_trainer(**changes), make_pair)
    slots = torch.arange(20)
    batch = batch_of(trainer, slots)
    gap = (batch.key_stamps - batch.stamps).abs()
    assert 0 < int((gap > 0).sum()) < 20
    assert gap.max() <= NS // 2
    stamps = trainer.pool.take("stamp")
    sources = [int((stamps == stamp).nonzero()) for stamp in batch.key_stamps]
    keys = trainer.scale.unit(trainer.pool.take("key")[sources])
    assert torch.equal(batch.keys, keys)
    assert torch.equal(batch.x, trainer.pool.take("input", slots).float())
    assert torch.equal(batch.places, trainer.pool.take("place", slots))


def test_what_may_be_a_positive_is_no_negative(make_trainer: MakeTrainer) -> None:
    """The exclusion window covers that of the positives."""
    assert make_trainer(temporal_positive_s=5.0).objective.exclusion_ns == 5 * NS
    assert make_trainer(temporal_positive_s=1.0).objective.exclusion_ns == 2 * NS


def test_two_views_of_the_same_inputs(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """They differ from each other and from the input; without the term there is one."""
    trainer = filled(make_trainer(intra_modal=1.0), make_pair)
    batch = batch_of(trainer, torch.arange(6))
    assert batch.other_view is not None
    assert batch.other_view.shape == batch.x.shape
    assert not torch.equal(batch.other_view, batch.x)
    one = batch_of(filled(make_trainer(), make_pair), torch.arange(6))
    assert one.other_view is None


def test_two_views_need_augmentation(make_trainer: MakeTrainer) -> None:
    """Two equal views would teach nothing: that is said, with the remedy."""
    with pytest.raises(ConfigError, match=r"intra_modal.*augment = true"):
        make_trainer(intra_modal=1.0, augment=False)
    with pytest.raises(ConfigError, match="preset paper"):
        augmentation_of(Learning(intra_modal=1.0), PRESETS["paper"])
    with pytest.raises(ConfigError, match=r"learning\.intra_modal"):
        configfile.load(None, {"learning.intra_modal": 1.0, "learning.augment": False})


@pytest.mark.parametrize(
    ("inputs", "channels"),
    [
        ("", ("magnitude", "motion")),
        ("magnitude", ("magnitude",)),
        ("magnitude+motion", ("magnitude", "motion")),
    ],
)
def test_inputs_reach_the_published_spec(
    toy_teacher: Teacher, inputs: str, channels: tuple[str, ...]
) -> None:
    """The encoder is built for the channels that are asked for, and says so."""
    preset = preset_of(Learning(inputs=inputs), "edge")
    encoder = initial_encoder(preset, toy_teacher.key_dim, seed=0, weights="", short_keys=5)
    assert encoder.spec.to_dict()["channels"] == list(channels)
    assert encoder.spec.key_dim == 5
    assert encoder(torch.zeros(2, len(channels), 128, 128)).shape == (2, 5)


def test_the_papers_encoder_is_the_papers(toy_teacher: Teacher) -> None:
    """It takes the magnitude alone and gives fc7; other wishes are refused by name."""
    assert preset_of(Learning(inputs="magnitude"), "paper") is PRESETS["paper"]
    with pytest.raises(ConfigError, match=r"learning\.inputs = magnitude\+motion.*preset edge"):
        preset_of(Learning(inputs="magnitude+motion"), "paper")
    with pytest.raises(ConfigError, match=r"learning\.short_keys = 5.*preset edge"):
        initial_encoder(
            PRESETS["paper"], toy_teacher.key_dim, seed=0, weights="random", short_keys=5
        )
    with pytest.raises(ConfigError, match="16 dimensions"):
        initial_encoder(PRESETS["edge"], toy_teacher.key_dim, seed=0, weights="", short_keys=17)


def test_training_waits_for_short_keys(
    make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one step before they are fitted; then queue, queries and keys are of that size."""
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 20)
    trainer = filled(make_trainer(short_keys=4, queue=9, background="kept"), make_pair, 19)
    assert trainer.pool.fill >= trainer.learning.min_pool_pairs
    ready = [trainer.ready]
    trainer.ingest(make_pair(19))
    assert [*ready, trainer.ready] == [False, True]
    outcome = [trainer.train() for _ in range(2)][-1]
    assert outcome.updated
    assert outcome.queries.shape == (6, 4)
    assert trainer.queue.keys.shape == (9, 4)


@pytest.mark.parametrize(
    "changes",
    [{"soft_targets": 0.5}, {"decoupled": True}, {"intra_modal": 0.5}],
    ids=lambda changes: next(iter(changes)),
)
def test_the_bound_is_of_equation_1_whatever_is_minimised(
    make_trainer: MakeTrainer, make_pair: MakePair, changes: dict[str, float]
) -> None:
    """`info_nce` is Eq. (1) of the step's own logits; the loss is another number."""
    trainer = filled(make_trainer(**changes), make_pair)
    outcome = [trainer.train() for _ in range(3)][-1]
    wanted = -torch.log_softmax(outcome.logits, dim=1)[:, 0].mean()
    assert outcome.info_nce == pytest.approx(float(wanted), rel=1e-6)
    assert outcome.loss != pytest.approx(outcome.info_nce, rel=1e-5)


def test_settings_of_the_objective_all_arrive() -> None:
    """Each setting changes the objective; none is forgotten on the way."""
    plain = objective_of(Learning())
    changed: list[dict[str, Any]] = [
        {"temperature": 0.5},
        {"exclusion_s": 7.0},
        {"decoupled": True},
        {"soft_targets": 0.5},
        {"soft_temperature": 0.5},
        {"intra_modal": 0.5},
        {"intra_temperature": 0.5},
        {"temporal_positive_s": 0.5},
    ]
    for change in changed:
        assert objective_of(replace(Learning(), **change)) != plain, change
