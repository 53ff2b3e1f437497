"""Which published models stay on disk while a learner goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rvsense import current
from rvsense.learner import publication
from rvsense.published import PublishedModel, list_models

MakeModel = Callable[..., PublishedModel]


def test_the_serving_and_the_newest_model_are_spared(tmp_path: Path, make_model: MakeModel) -> None:
    """What serves stays although it is the oldest; what was just published stays, too."""
    models = tmp_path / "models"
    paths = [make_model(models, 50 - n, created_ns=n).path for n in range(6)]
    current.note_serving(tmp_path, paths[0])
    publication.prune(tmp_path, 2, paths[1].name)
    assert list_models(models) == [paths[0], paths[1], paths[4], paths[5]]


@pytest.mark.parametrize("note", ["", "[]", "{}", json.dumps({"model": None}), "\xff"])
def test_a_damaged_note_spares_nothing(tmp_path: Path, make_model: MakeModel, note: str) -> None:
    """Pruning goes on when it cannot be known what serves."""
    paths = [make_model(tmp_path / "models", n, created_ns=n).path for n in range(3)]
    (tmp_path / current.NOTE).write_text(note, encoding="latin-1")
    publication.prune(tmp_path, 2, paths[2].name)
    assert list_models(tmp_path / "models") == paths[1:]
