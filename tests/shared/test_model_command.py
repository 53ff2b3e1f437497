"""`rvsense model` on a state directory on which no daemon runs, as a person would call it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import cli, current, state
from rvsense.errors import ModelError
from rvsense.models import listing, printing
from rvsense.published import REFUSED, PublishedModel
from rvsense.requesting import NoAnswerError
from rvsense.results import model_name

MakeModel = Callable[..., PublishedModel]


@pytest.fixture
def models(tmp_path: Path, make_model: MakeModel) -> list[PublishedModel]:
    """Three models, each of which has served."""
    made = [make_model(tmp_path / "models", n, created_ns=n * 10**18) for n in (1, 2, 3)]
    for model in made:
        current.note_serving(tmp_path, model.path)
    return made


def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The exit status and what was printed, read as JSON."""
    status = cli.main(["model", *arguments, "--state-dir", str(tmp_path), "--json"])
    return status, json.loads(capsys.readouterr().out or "null")


def test_list_tells_what_serves_and_what_was_refused(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newest first; the note says which served before; a damaged manifest is named."""
    refused = models[0].path.rename(models[0].path.with_name(REFUSED + models[0].id))
    (refused / "refusal.json").write_text('{"reason": "worse", "detail": "0 of 20", "at_ns": 1}')
    status, told = call(tmp_path, capsys, "list")
    assert status == 0
    assert [(m["id"], m["state"]) for m in told["models"]] == [
        (models[2].id, "serving"),
        (models[1].id, "previous"),
        (models[0].id, "refused"),
    ]
    assert told["models"][2]["detail"] == "worse: 0 of 20"
    (models[1].path / "manifest.json").write_text("{}")
    _, told = call(tmp_path, capsys, "list")
    assert [m["state"] for m in told["models"] if m["id"] == models[1].id] == ["damaged"]

    assert cli.main(["model", "list", "--state-dir", str(tmp_path)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["model", "age"]
    assert [line for line in lines if line.startswith("*")] == [
        line for line in lines if models[2].id in line
    ]


def test_list_asks_a_running_daemon_how_its_models_answered(
    models: list[PublishedModel],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where one runs and answers; the list of files is whole without."""
    history = [{"model": models[2].id, "scored": 40, "accuracy": 0.925}]

    def answer(*_: object, **__: object) -> dict[str, Any]:
        return {"status": {"score": {"history": history}}}

    with state.locked(tmp_path):
        state.say_where(tmp_path, {"requests": "ipc:///nobody/is/here"})
        monkeypatch.setattr("rvsense.requesting.Requester.ask", answer)
        _, told = call(tmp_path, capsys, "list")
        assert [m["answers"] for m in told["models"]] == [history[0], None, None]
        assert cli.main(["model", "list", "--state-dir", str(tmp_path)]) == 0
        assert "0.925 of 40" in capsys.readouterr().out

        def refuse(*_: object, **__: object) -> dict[str, Any]:
            raise NoAnswerError("nobody")

        monkeypatch.setattr("rvsense.requesting.Requester.ask", refuse)
        assert len(call(tmp_path, capsys, "list")[1]["models"]) == 3
    assert call(tmp_path, capsys, "list")[1]["models"][0]["answers"] is None


def test_list_check_reads_every_byte(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flipped bit in the weights is found with --check, and the exit status says so."""
    path = models[1].path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "damaged" not in [m["state"] for m in call(tmp_path, capsys, "list")[1]["models"]]
    status, told = call(tmp_path, capsys, "list", "--check")
    assert [m["state"] for m in told["models"]] == ["serving", "damaged", "ready"]
    assert status == cli.main(["model", "list", "--check", "--state-dir", str(tmp_path)]) == 1


def test_show_tells_what_was_changed_from_what_the_preset_fills_in(
    models: list[PublishedModel], tmp_path: Path
) -> None:
    """Only what somebody set to another value than the default is called changed."""
    config = {"batch": 16, "queue": 4096, "background": "removed", "learning_rate": 0.2}
    facts = listing.details(models[0].path) | {"config": config}
    told = {line[:18].strip(): line[19:] for line in printing.sheet(facts)}
    assert told["settings changed"] == "batch 16"
    assert told["preset or given"] == "background removed, learning_rate 0.2"


def test_show_checks_and_tells_all(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the current model or of one by the beginning of its name; a damaged one is an error."""
    _, told = call(tmp_path, capsys, "show")
    assert (told["id"], told["checked"], told["sha256"]) == (models[2].id, True, models[2].sha256)
    digest = models[0].id.split("-")[2]
    _, told = call(tmp_path, capsys, "show", digest[:6])
    assert told["id"] == models[0].id
    assert cli.main(["model", "show", models[0].id, "--state-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert models[0].sha256 in shown
    assert "whole: 2 files" in shown
    (models[0].path / "head.safetensors").write_bytes(b"torn")
    assert cli.main(["model", "show", models[0].id, "--state-dir", str(tmp_path)]) == 1
    assert "head.safetensors" in capsys.readouterr().err


def test_rollback_and_release_without_a_daemon(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The note is what the next daemon begins with; pinned, until it is released."""
    _, told = call(tmp_path, capsys, "rollback")
    assert (told["daemon"], told["model"]) == (None, model_name(models[1]).as_map())
    note = current.read_note(tmp_path)
    assert (note.model, note.pinned, note.previous) == (models[1].id, True, models[0].id)
    assert current.candidates(tmp_path)[0] == models[1].path
    assert call(tmp_path, capsys, "list")[1]["models"][1]["state"] == "pinned"
    _, told = call(tmp_path, capsys, "release")
    assert (told["model"]["id"], told["pinned"]) == (models[1].id, False)
    assert not current.read_note(tmp_path).pinned


def test_rollback_to_a_damaged_model_changes_nothing(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried as a daemon would, before the note is written."""
    before = current.read_note(tmp_path)
    (models[1].path / "weights.safetensors").write_bytes(b"torn")
    assert cli.main(["model", "rollback", "--state-dir", str(tmp_path)]) == 1
    assert "weights.safetensors" in capsys.readouterr().err
    assert current.read_note(tmp_path) == before


def test_a_held_state_directory_is_not_edited(
    models: list[PublishedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon that is just starting has the lock, and cannot be asked yet."""
    with state.locked(tmp_path):
        assert cli.main(["model", "rollback", "--state-dir", str(tmp_path)]) == 1
        assert "just starting" in capsys.readouterr().err
        assert current.read_note(tmp_path).model == models[2].id
    assert state.holder(tmp_path) is None


def test_nothing_there_is_said_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No models: list, rollback and release are wrong usage, and name --state-dir."""
    for action in ("list", "rollback", "release"):
        assert cli.main(["model", action, "--state-dir", str(tmp_path)]) == 2
        assert "--state-dir" in capsys.readouterr().err
    assert cli.main(["model", "show", "--state-dir", str(tmp_path)]) == 1


def test_the_lock_tells_who_holds_it(tmp_path: Path) -> None:
    """Pid and endpoints, as long as it is held; whoever fails to get it leaves them there."""
    assert state.holder(tmp_path) is None
    with state.locked(tmp_path):
        state.say_where(tmp_path, {"requests": "tcp://127.0.0.1:1"})
        holder = state.holder(tmp_path)
        assert holder is not None
        assert holder.endpoints == {"requests": "tcp://127.0.0.1:1"}
        with pytest.raises(Exception, match="in use"), state.locked(tmp_path):
            pass
        assert state.holder(tmp_path) == holder
    assert state.holder(tmp_path) is None


@pytest.mark.parametrize("served", ["[]", '"x"', "[1, 2]", "null"])
def test_an_odd_note_is_no_note_or_a_readable_one(
    served: str, tmp_path: Path, make_model: MakeModel
) -> None:
    """Whatever stands in serving.json, names are looked up among the folders that are there."""
    model = make_model(tmp_path / "models", 1)
    text = f'{{"model": "{model.id}", "served": {served}, "pinned": "yes"}}'
    (tmp_path / current.NOTE).write_text(text)
    assert current.find(tmp_path, "current") == model.path
    assert not current.read_note(tmp_path).pinned
    with pytest.raises(ModelError):
        current.find(tmp_path, "previous")


def test_a_note_with_a_flipped_byte_is_no_note(tmp_path: Path, make_model: MakeModel) -> None:
    """For every byte: not read at all, rather than with another model or without its pin."""
    model = make_model(tmp_path / "models", 1)
    current.write_note(tmp_path, current.Note(model.id, 7, True, ("step-00000000-0000",)))
    note, path = current.noted(tmp_path), tmp_path / current.NOTE
    assert note is not None
    assert note.pinned
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert current.noted(tmp_path) in (None, note)
    path.write_text(json.dumps({"model": model.id, "pinned": True}))  # of an earlier version
    assert current.read_note(tmp_path).pinned
    path.unlink()
    assert current.noted(tmp_path) == current.Note()
