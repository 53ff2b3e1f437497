"""The age of published models: who is listed first and who is pruned."""

import os
from collections.abc import Callable
from pathlib import Path

from rvsense.published import MANIFEST, PublishedModel, list_models, prune

MakeModel = Callable[..., PublishedModel]


def test_age_is_when_a_model_was_made(tmp_path: Path, make_model: MakeModel) -> None:
    """A fresh run's low step is newer than a high one of the run before, and outlives it."""
    old = [make_model(tmp_path, step, created_ns=step).path for step in (800, 900)]
    fresh = [make_model(tmp_path, step, created_ns=1000 + step).path for step in (10, 30)]
    assert list_models(tmp_path) == old + fresh
    prune(tmp_path, keep=2)
    assert list_models(tmp_path) == fresh


def test_equal_times_are_ordered_by_name(tmp_path: Path, make_model: MakeModel) -> None:
    """The order never depends on how the disk lists its folders."""
    paths = [make_model(tmp_path, step, created_ns=5).path for step in (3, 1, 2)]
    assert list_models(tmp_path) == [paths[1], paths[2], paths[0]]


def test_a_damaged_model_has_the_age_of_its_folder(tmp_path: Path, make_model: MakeModel) -> None:
    """Whatever is wrong with a manifest, the model is listed, by the time of its folder."""
    before, after = (make_model(tmp_path, step, created_ns=100 * step).path for step in (1, 3))
    damaged = make_model(tmp_path, 2).path
    for text in ("", "[]", "{}", '{"created_ns": null}', '{"created_ns": Infinity}', "\xff"):
        (damaged / MANIFEST).write_text(text, encoding="latin-1")
        os.utime(damaged, ns=(200, 200))
        assert list_models(tmp_path) == [before, damaged, after]
    (damaged / MANIFEST).unlink()
    os.utime(damaged, ns=(200, 200))
    assert list_models(tmp_path) == [before, damaged, after]
