"""Which published models stay on disk while a learner goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rvsense import current
from rvsense.learner import publication
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair
from rvsense.model import ServableModel
from rvsense.published import PublishedModel, list_models, open_model

MakeModel = Callable[..., PublishedModel]


def test_the_serving_and_the_newest_model_are_spared(tmp_path: Path, make_model: MakeModel) -> None:
    """What serves stays although it is the oldest; what was just published stays, too."""
    models = tmp_path / "models"
    paths = [make_model(models, 50 - n, created_ns=n).path for n in range(6)]
    current.note_serving(tmp_path, paths[0])
    publication.prune(tmp_path, 2, paths[1].name)
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


@pytest.mark.parametrize("note", ["", "[]", "{}", json.dumps({"model": None}), "\xff"])
def test_a_damaged_note_spares_nothing(tmp_path: Path, make_model: MakeModel, note: str) -> None:
    """Pruning goes on when it cannot be known what serves."""
    paths = [make_model(tmp_path / "models", n, created_ns=n).path for n in range(3)]
    (tmp_path / current.NOTE).write_text(note, encoding="latin-1")
    publication.prune(tmp_path, 2, paths[2].name)
    assert list_models(tmp_path / "models") == paths[1:]
