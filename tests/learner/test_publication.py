"""Which published models stay on disk while a learner goes on."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rvsense import current, link
from rvsense.learner import publication
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair
from rvsense.model import ServableModel
from rvsense.published import PublishedModel, list_models, open_model

MakeModel = Callable[..., PublishedModel]


def test_the_serving_and_the_newest_model_are_spared(tmp_path: Path, make_model: MakeModel) -> None:
    """What serves stays although it is the oldest; what was just published stays, too."""
    models = tmp_path / "models"
    paths = [make_model(models, 50 - n, created_ns=n).path for n in range(6)]
    current.note_serving(tmp_path, paths[0])
    current.prune(tmp_path, 2, paths[1].name)
    assert list_models(models) == [paths[0], paths[1], paths[4], paths[5]]


def test_a_published_model_knows_what_is_familiar(
    tmp_path: Path, make_trainer: Callable[..., Trainer], make_pair: Callable[[int], Pair]
) -> None:
    """With pairs enough there is a score; with few there is none, rather than a bad one."""
    for pairs, familiar in ((12, False), (110, True)):
        trainer = make_trainer(pool_pairs=100, heldout_pairs=16)
        for i in range(pairs):
            trainer.ingest(make_pair(i))
        model, _ = publication.publish(
            trainer, tmp_path / str(pairs), teacher_sha256="ab", figures={}
        )
        heatmaps = [make_pair(i).heatmap for i in range(4)]
        strange = np.zeros_like(heatmaps[0])
        strange[:, :, 64] = 1.0  # no array of eight antennas has so narrow a beam
        servable = ServableModel(open_model(model.path), torch.device("cpu"))
        *known, odd = servable.classify([*heatmaps, strange])
        if familiar:
            scores = [answer.ood_score for answer in known]
            assert odd.ood_score is not None
            assert max(score for score in scores if score is not None) < odd.ood_score
        else:
            assert odd.ood_score is None


def test_short_recordings_know_what_is_familiar_too(
    tmp_path: Path, make_trainer: Callable[..., Trainer], make_pair: Callable[[int], Pair]
) -> None:
    """A recording of a second, with an epoch of its own, is a stretch: some of them are left out.

    The daemon's epochs are multiples of 65536, and none of these has a second ten seconds.
    """
    trainer = make_trainer(pool_pairs=100, heldout_pairs=0)
    for i in range(96):
        recording, frame = divmod(i, 8)
        trainer.ingest(replace(make_pair(i), epoch=recording << 16, stamp_ns=frame * 100_000_000))
    model, _ = publication.publish(trainer, tmp_path, teacher_sha256="ab", figures={})
    assert model.familiarity() is not None


@pytest.mark.parametrize("factor", [1e12, 1e30])
def test_weights_too_large_to_compute_with_are_not_published(
    tmp_path: Path,
    make_trainer: Callable[..., Trainer],
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    factor: float,
) -> None:
    """Finite weights of which nothing finite comes: that is said, and the learner goes on."""
    heard = []

    def send(_: bytes, message: list[Any]) -> bool:
        heard.append(link.unpack(message)[:2])
        return True

    trainer = make_trainer(pool_pairs=100, heldout_pairs=16, steps_per_pair=0.0)
    service = Service(trainer, tmp_path, send, owned=True)
    service.hear(b"1", link.pack("hello", lockstep=True, daemon="test", life="1"))
    for i in range(110):
        service.hear(b"1", link.pack_pair(make_pair(i)))
        service.hear(b"1", link.pack_label(make_label(i)))
    with torch.no_grad():
        for parameter in trainer.average.encoder.parameters():
            parameter.mul_(factor)
    trainer.counters.step = 1
    service.hear(b"1", link.pack("drain"))
    (notice,) = [values for op, values in heard if op == "notice"]
    assert (notice["level"], notice["event"]) == ("error", "publish_failed")
    assert "not finite" in notice["detail"]
    assert list_models(tmp_path / "models") == []
    assert heard[-1][0] == "drained"


def test_a_model_is_given_up_when_somebody_waits(
    tmp_path: Path,
    make_trainer: Callable[..., Trainer],
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
) -> None:
    """At once, wherever it is; nothing of it is on disk, and it is made when nobody waits."""
    trainer = make_trainer(pool_pairs=100, heldout_pairs=16)
    for i in range(110):
        trainer.ingest(make_pair(i))
        trainer.add_label(make_label(i))
    publish = partial(publication.publish, trainer, tmp_path, teacher_sha256="ab", figures={})
    asked = count()
    publish(hurried=lambda: next(asked) < 0)
    times, whole = next(asked), list_models(tmp_path)
    assert times > 4
    for moment in range(times):
        said = chain([False] * moment, repeat(True))
        with pytest.raises(publication.GivenUpError):
            publish(hurried=partial(next, said))
    assert list(tmp_path.iterdir()) == whole


def test_a_model_that_is_given_up_is_told_and_is_no_failure(
    tmp_path: Path, make_trainer: Callable[..., Trainer], make_pair: Callable[[int], Pair]
) -> None:
    """The figures stay as they were; the next one that is due is made."""
    heard, waited_for = [], [True]

    def send(_: bytes, message: list[Any]) -> bool:
        heard.append(link.unpack(message)[:2])
        return True

    trainer = make_trainer(pool_pairs=100, heldout_pairs=16, publish_every_steps=1)
    service = Service(trainer, tmp_path, send, owned=True, hurried=lambda: waited_for[0])
    service.hear(b"1", link.pack("hello", lockstep=False, daemon="test", life="1"))
    for i in range(110):
        service.hear(b"1", link.pack_pair(make_pair(i)))
    service.work()
    (notice,) = [values for op, values in heard if op == "notice"]
    assert (notice["level"], notice["event"]) == ("info", "publication_given_up")
    assert list_models(tmp_path / "models") == []
    service.hear(b"1", link.pack("drain"))
    figures = [values for op, values in heard if op == "figures"][-1]
    assert (figures["publish_failures"], figures["published_step"]) == (0, 0)
    waited_for[0] = False
    service.hear(b"1", link.pack("drain"))
    assert len(list_models(tmp_path / "models")) == 1


@pytest.mark.parametrize("note", ["", "[]", "{}", "\xff"])
def test_a_damaged_note_keeps_all(tmp_path: Path, make_model: MakeModel, note: str) -> None:
    """Nobody knows what serves, until a daemon has written it anew: then pruning goes on."""
    paths = [make_model(tmp_path / "models", n, created_ns=n).path for n in range(3)]
    (tmp_path / current.NOTE).write_text(note, encoding="latin-1")
    current.prune(tmp_path, 2, paths[2].name)
    assert list_models(tmp_path / "models") == paths
    current.note_serving(tmp_path, paths[2])
    current.prune(tmp_path, 2, paths[2].name)
    assert list_models(tmp_path / "models") == paths[1:]
