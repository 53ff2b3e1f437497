"""`rvsense doctor` on a made-up state, and each of its checks where something is amiss."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rvsense import cli, current, keyring
from rvsense.commands.doctor import _check_checkpoint
from rvsense.config import Access, Config, Endpoints, Learning, Serving
from rvsense.daemon.auth import exposed
from rvsense.doctor import access, extras, machine, place, trial, weights
from rvsense.doctor.advice import advice
from rvsense.doctor.findings import Finding, as_lines, gather, is_fit
from rvsense.errors import ConfigError, ModelError
from rvsense.machine import pick_device
from rvsense.published import PublishedModel

MakeModel = Callable[..., PublishedModel]


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_check_that_fails_is_a_line() -> None:
    """Whatever it raises, the others are made; an error of ours stops rvsense, others warn."""

    def ours() -> list[Finding]:
        raise ConfigError("no such device")

    def odd() -> Iterator[Finding]:
        yield Finding("odd", "good", "half of it")
        raise ZeroDivisionError("strange machine")

    def fine() -> Iterator[Finding]:
        yield Finding("fine", "good", "all well")

    found = gather({"ours": ours, "odd": odd, "fine": fine})
    assert [(f.about, f.standing) for f in found] == [
        ("ours", "bad"),
        ("odd", "good"),
        ("odd", "warn"),
        ("fine", "good"),
    ]
    assert "strange machine" in found[2].text
    assert not is_fit(found)
    assert is_fit(found[1:])
    lines = as_lines([*found, Finding("a-very-long-name-of-a-file", "note", "x " * 90)], ["do"])
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("--   a-very-long-name-of-a-file x x") for line in lines)
    assert lines[-1] == "  do"


def test_the_report_of_this_machine(
    tmp_path: Path, make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command, on a state with models and with a model's folder to look at."""
    model = make_model(tmp_path / "models", 7, preset="edge")
    current.note_serving(tmp_path, model.path)
    file = tmp_path / "ports.toml"
    file.write_text(
        '[endpoints]\nintake = "tcp://127.0.0.1:0"\nresults = "tcp://127.0.0.1:0"\n'
        f'requests = "tcp://127.0.0.1:0"\nhttp = "127.0.0.1:{free_port()}"\n'
        '[learning]\npreset = "edge"\n'
    )
    asked = ["doctor", str(model.path), "--config", str(file), "--state-dir", str(tmp_path)]
    status = cli.main([*asked, "--quick", "--json"])
    told = json.loads(capsys.readouterr().out)
    by_name = {finding["about"]: finding for finding in told["findings"]}
    assert (status, told["fit"]) == (0, True)
    for about in ("versions", "cores", "memory", "state", "teacher edge", "detector"):
        assert by_name[about]["standing"] in ("good", "warn"), about
    assert by_name["versions"]["facts"]["torch"] == torch.__version__
    assert by_name["models"]["facts"] == {"count": 1, "current": model.id, "damaged": []}
    assert by_name[str(model.path)]["facts"]["sha256"] == model.sha256
    assert by_name["daemon"]["facts"] == {"running": False}
    assert any("rvsense daemon" in line for line in told["next"])

    assert cli.main([*asked, "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "What to run next:" in shown
    assert "teacher edge" in shown

    file.write_text("[learning]\nbatch = 0\n")
    assert cli.main([*asked, "--quick"]) == 1
    assert "learning.batch" in capsys.readouterr().out


def test_a_path_that_is_nothing_known_stops_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is bad, named, and the report is whole."""
    asked = ["doctor", str(tmp_path / "nothing"), "--quick", "--json", "--state-dir", str(tmp_path)]
    assert cli.main(asked) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    (odd,) = [finding for finding in found if finding["about"] == str(tmp_path / "nothing")]
    assert odd["standing"] == "bad"
    assert len(found) > 10


def test_paths_go_by_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_model: MakeModel
) -> None:
    """A recording that broke off at once, and a model that is damaged: each by its own check."""
    recording = tmp_path / "cut.mcap"
    recording.write_bytes(b"\x89MCAP0\r\n")
    model = make_model(tmp_path / "models")
    (model.path / "weights.safetensors").write_bytes(b"torn")
    asked = ["doctor", str(recording), str(model.path), "--quick", "--json"]
    assert cli.main([*asked, "--state-dir", str(tmp_path)]) == 1
    *_, cut, torn = json.loads(capsys.readouterr().out)["findings"]
    assert (cut["about"], cut["standing"], cut["facts"]["whole"]) == (str(recording), "warn", False)
    assert f"record --recover OUT {recording}`" in cut["remedy"]
    assert (torn["about"], torn["standing"]) == (str(model.path), "bad")
    assert "weights.safetensors" in torn["text"]


def test_cores_and_cuda_are_held_against_the_configuration(monkeypatch: Any) -> None:
    """More threads than cores is a warning; CUDA that is asked for and not there is bad."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    (few,) = machine.cores(Config())
    assert few.standing == "warn"
    (enough,) = machine.cores(Config(learn=False))
    assert enough.standing == "good"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (none,) = machine.gpu(Config())
    assert none.standing == "note"
    (asked,) = machine.gpu(Config(serving=Serving(device="cuda")))
    assert asked.standing == "bad"
    monkeypatch.setattr("torch.version.cuda", None)
    (bare,) = machine.gpu(Config())
    assert "built without CUDA" in bare.text


def test_a_group_of_processes_may_have_less_than_the_machine(monkeypatch: Any) -> None:
    """The limits of a container count."""
    limits = {"cpu.max": ["150000", "100000"], "memory.max": ["1000000000"]}
    limits["memory.current"] = ["400000000"]
    monkeypatch.setattr(machine, "_words", lambda path, _: limits[path.name])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert next(machine.cores(Config())).facts["cores"] == 1.5
    (tight,) = machine.memory()
    assert tight.standing == "warn"
    assert tight.facts["total_bytes"] == 1_000_000_000
    assert tight.facts["free_bytes"] <= 600_000_000


@pytest.mark.parametrize(("kernel", "standing"), [((True, 12), "good"), ((False, 0), "warn")])
def test_the_clock_is_the_kernels(kernel: Any, standing: str, monkeypatch: Any) -> None:
    """What adjtimex says is what is told; asking it here works at all."""
    assert isinstance(machine._kernel_clock()[0], bool)
    monkeypatch.setattr(machine, "_kernel_clock", lambda: kernel)
    (clock,) = machine.clock()
    assert (clock.standing, clock.facts["synchronised"]) == (standing, kernel[0])


def test_a_state_directory_that_cannot_be_is_bad(tmp_path: Path, monkeypatch: Any) -> None:
    """A file in its place; a disk that is nearly full; one with little room."""
    (tmp_path / "file").write_text("")
    config = Config(state_dir=str(tmp_path / "file" / "state"))
    (found,) = gather({"state": lambda: place.directory(config)})
    assert found.standing == "bad"
    assert "--state-dir" in found.text
    config = Config(state_dir=str(tmp_path / "new"))
    for free, standing in ((10**8, "bad"), (10**9, "warn"), (10**12, "good")):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        (found,) = place.directory(config)
        assert (found.standing, found.facts["exists"]) == (standing, False)


def test_a_state_directory_that_one_may_not_look_into_is_bad(monkeypatch: Any) -> None:
    """As below a folder of somebody else's."""

    def denied(_: Path, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", denied)
    (found,) = gather({"state": lambda: place.directory(Config(state_dir="/there/state"))})
    assert found.standing == "bad"
    assert "--state-dir" in found.text


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_checkpoint_whose_manifest_is_torn_is_named(text: str, tmp_path: Path) -> None:
    """And does not hide the others."""
    for number in (1, 2):
        folder = tmp_path / "checkpoints" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    config = Config(state_dir=str(tmp_path))
    (found,) = gather({"checkpoints": lambda: place.checkpoints(config, _check_checkpoint)})
    assert len(found.facts["damaged"]) == 2


def test_damaged_models_and_checkpoints_are_found(tmp_path: Path, make_model: MakeModel) -> None:
    """By their checksums; as long as one of them is whole, work goes on."""
    config = Config(state_dir=str(tmp_path))
    (none,) = place.models(config)
    assert none.standing == "note"
    whole, torn = (make_model(tmp_path / "models", step) for step in (1, 2))
    (torn.path / "weights.safetensors").write_bytes(b"torn")
    good, bad = place.models(config)
    assert good.facts["count"] == 2
    assert (bad.standing, bad.facts["damaged"]) == ("warn", [torn.id])
    assert whole.id not in bad.text
    assert f"{whole.id} serves" in good.text
    current.note_serving(tmp_path, torn.path)
    assert next(place.models(config)).facts["current"] == whole.id
    (whole.path / "manifest.json").write_text("{")
    none_left, bad = place.models(config)
    assert (none_left.standing, none_left.facts["current"]) == ("warn", None)
    assert "serves" not in none_left.text
    assert set(bad.facts["damaged"]) == {torn.id, whole.id}

    def check(path: Path) -> None:
        if path.name in broken:
            raise ModelError(f"{path.name} is damaged")

    broken: set[str] = set()
    assert [f.standing for f in place.checkpoints(config, check)] == ["note"]
    for number in (1, 2):
        (tmp_path / "checkpoints" / f"checkpoint-{number}").mkdir(parents=True)
    assert [f.standing for f in place.checkpoints(config, check)] == ["good"]
    broken.add("checkpoint-2")
    (found,) = place.checkpoints(config, check)
    assert (found.standing, found.remedy) == ("warn", "the learner goes on from the one before")
    broken.add("checkpoint-1")
    (found,) = place.checkpoints(config, check)
    assert "anew" in found.remedy


def test_weights_are_checked_by_their_names(tmp_path: Path, monkeypatch: Any) -> None:
    """The digest in a file's name is the beginning of its SHA-256, or the file is bad."""
    config = Config(learning=Learning(preset="edge"))
    edge = next(weights.teachers(config))
    assert (edge.standing, edge.facts["used"]) == ("good", True)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    paper = list(weights.teachers(config))[1]
    assert paper.standing == "note"
    missing = list(weights.teachers(Config(learning=Learning(preset="paper"))))[1]
    assert missing.standing == "bad"
    assert "--preset edge" in missing.remedy
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg16-397923af.pth").write_bytes(b"not these")
    paper = list(weights.teachers(config))[1]
    assert paper.standing == "bad"
    assert "fetch it again" in paper.text
    assert next(weights.detector(Config())).standing == "good"
    other = Config(learning=Learning(detector="nothing", collate="wanted"))
    assert next(weights.detector(other)).standing == "bad"


def test_what_other_machines_reach_is_told(tmp_path: Path) -> None:
    """Open without a lock is bad, unless that is wanted; keys are read as a daemon would."""
    (local,) = access.access(Config(), exposed)
    assert (local.standing, local.facts) == ("good", {"curve": False, "exposed": []})
    open_http = Config(endpoints=Endpoints(http="0.0.0.0:9464"))
    (found,) = access.access(open_http, exposed)
    assert (found.standing, found.facts["exposed"]) == ("bad", ["http"])
    (found,) = access.access(replace(open_http, access=Access(insecure=True)), exposed)
    assert found.standing == "warn"
    keys = Config(access=Access(keys=str(tmp_path)))
    (found,) = gather({"access": lambda: access.access(keys, exposed)})
    assert found.standing == "bad"
    keyring.new_server(tmp_path)
    keyring.new_client(tmp_path, "device", "north", tmp_path / "north")
    (found,) = access.access(keys, exposed)
    assert found.standing == "good"
    assert "1 device" in found.text


def test_extras_are_read_off_the_installed_package() -> None:
    """Those for users, with the pip line for what is missing."""
    lines = ["torch<3,>=2.6", 'onnx<2,>=1.17; extra == "export"', "no-such-thing; extra == 'x'"]
    wanted = extras.wanted_by_extra([*lines, 'pytest>=8.2; extra == "dev"'])
    assert wanted == {"export": ["onnx"], "x": ["no-such-thing"]}


def test_a_missing_extra_comes_with_its_pip_line(monkeypatch: Any) -> None:
    """And is no more than a note."""
    asked = ["no-such-thing>=1; extra == 'x'", 'numpy; extra == "y"']
    monkeypatch.setattr("importlib.metadata.requires", lambda _: asked)
    monkeypatch.setattr(extras, "pip", lambda: "pip")
    missing, here = extras.extras()
    assert (missing.standing, missing.remedy) == ("note", "pip install 'rvsense[x]'")
    assert here.standing == "good"


def test_the_pip_is_the_one_beside_this_rvsense(monkeypatch: Any, tmp_path: Path) -> None:
    """By name where the PATH leads to it, by its path where it leads to another or to none."""
    for folder in ("here", "there"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / "bin" / "pip").touch(mode=0o755)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "here"))
    for path, said in (("here", "pip"), ("there", str(tmp_path / "here/bin/pip"))):
        monkeypatch.setenv("PATH", str(tmp_path / path / "bin"))
        assert extras.pip() == said
    monkeypatch.setenv("PATH", "")
    assert extras.pip() == str(tmp_path / "here/bin/pip")


def test_the_trial_says_what_this_machine_can_do(monkeypatch: Any) -> None:
    """Frames a second by a network of the preset; a slow machine is told what helps."""
    config = Config(learning=Learning(preset="edge"))
    (found,) = trial.answering(config)
    assert found.facts["preset"] == "edge"
    assert found.facts["ms"] > 0
    monkeypatch.setattr(trial, "median_ms", lambda _: 50.0)
    (slow,) = trial.answering(config)
    assert slow.standing == "warn"
    assert next(trial.learning(config, lambda _: 125.0)).facts == {"ms": 125.0, "batch": 64}
    assert next(trial.learning(config, lambda _: None)).standing == "warn"


def test_a_training_step_is_tried_with_the_learners_own_trainer() -> None:
    """Small here; and VGG-16 on a CPU, which would take minutes, is not tried."""
    from rvsense.learner.tryout import step_ms

    ms = step_ms(Learning(preset="edge", batch=2, queue=8), steps=1)
    assert ms is not None
    assert ms > 0
    if pick_device("auto", "learning.device").type == "cpu":
        assert step_ms(Learning(preset="paper")) is None


def test_what_to_run_next_follows_from_what_is_there() -> None:
    """Mend first; then a daemon over the models that are there, or a demonstration."""
    broken = Finding("gpu", "bad", "cuda is configured", "use auto")
    assert advice([broken], "") == ["first mend gpu: use auto"]
    models = Finding("models", "good", "2", facts={"count": 2})
    assert advice([models], "/var/state")[0].startswith("rvsense daemon --state-dir /var/state")
    of_a_path = Finding("models", "good", "a dataset of that name")
    assert advice([models, of_a_path], "")[0].startswith("rvsense daemon")
    assert advice([], "")[0].startswith("rvsense simulate")
    _, replayed, _ = advice([], "", "my file.toml", "127.0.0.1:7")
    assert "--loop --config 'my file.toml'" in replayed
    assert replayed.endswith("http://127.0.0.1:7/")
