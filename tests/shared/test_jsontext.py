"""JSON that was made to do harm: what is nested without end is damage like any other."""

from pathlib import Path

import pytest

from rvsense import current, jsontext, published
from rvsense.current import Note
from rvsense.daemon.exam_store import decode
from rvsense.errors import ModelError

ENDLESS = ("[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000)


@pytest.mark.parametrize("text", [*ENDLESS, "", "{", "\ud800", b"\xff", "9" * 5000])
def test_whatever_is_wrong_is_a_value_error(text: str | bytes) -> None:
    """What is right comes through."""
    assert jsontext.parse('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(ValueError):  # noqa: PT011 - that it is one is all there is to know
        jsontext.parse(text)


@pytest.mark.parametrize("text", ENDLESS)
def test_those_who_read_it_name_it_or_go_on_without(text: str, tmp_path: Path) -> None:
    """A model, the note of what serves, and a frame of the exam."""
    model = tmp_path / "models" / "step-00000001-00000000"
    model.mkdir(parents=True)
    (model / published.MANIFEST).write_text(text)
    (model / published.REFUSAL).write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json: not a readable manifest"):
        published.open_model(model)
    assert published.list_models(model.parent) == [model]
    assert published.refused_ns(model) > 0
    (tmp_path / current.NOTE).write_text(text)
    assert current.read_note(tmp_path) == Note()
    with pytest.raises(ValueError, match="nested too deep"):
        decode(text.encode() + b"\n" + bytes(8))
