"""The learner's own check of its settings: it may be started by hand, or by another version."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rvsense.config import Config, Learning
from rvsense.errors import ConfigError
from rvsense.learner import main as module
from rvsense.learner.main import main, read_settings, settings_json


def test_settings_survive_the_command_line() -> None:
    """What the daemon writes is read back equal; what is left out has its default."""
    learning = replace(Learning(), pool_pairs=100, augment=False, learning_rate=0.5)
    config = read_settings(settings_json(learning, 7))
    assert (config.learning, config.seed) == (learning, 7)
    assert read_settings("{}") == Config()


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("batch", 1, "a whole number from 2"),
        ("batch", "64", "a whole number from 2"),
        ("momentum", 1.5, "to 0.999"),
        ("momentum", float("nan"), "to 0.999"),
        ("augment", 1, "true or false"),
        ("pool_policy", "lifo", "reservoir, fifo or min_redundancy"),
        ("threads", None, "a whole number from 1 to 256"),
        ("max_labels", [8], "a whole number from 8"),
        ("bach", 64, "did you mean"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(key: str, value: object, allowed: str) -> None:
    """Type and bounds are those of the configuration file."""
    with pytest.raises(ConfigError, match=f"learning.{key}.*{allowed}"):
        read_settings(json.dumps({key: value}))


@pytest.mark.parametrize("seed", [-1, "7", True, 1.5])
def test_a_bad_seed_is_named(seed: object) -> None:
    """The seed is a whole number from 0."""
    with pytest.raises(ConfigError, match=r"seed.*a whole number from 0"):
        read_settings(json.dumps({"seed": seed}))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '[["batch", 64]]', '{"batch": 0}'])
def test_what_cannot_be_read_exits_78(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: the reason on stderr and the status of a bad configuration."""
    status = main(["--endpoint", "ipc:///none", "--state-dir", "none", "--config-json", text])
    assert status == 78
    assert capsys.readouterr().err.startswith("rvsense learner: ")


def test_a_learner_of_its_own_does_not_take_a_daemons_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both prune `models/`; so, unless told where, it is a folder within."""
    taken: list[Path] = []
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))

    def run(_: str, state_dir: Path, *__: object, **___: object) -> int:
        taken.append(state_dir)
        return 0

    monkeypatch.setattr(module, "run", run)
    for more in ([], ["--state-dir", str(tmp_path)]):
        assert main(["--listen", "ipc:///none", *more]) == 0
    assert taken == [tmp_path / "learner", tmp_path]


def test_a_file_says_where_to_listen_and_how_to_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file serves the learner and its daemons; flags win over it, and no address is usage."""
    seen: list[tuple[str, int, int]] = []

    def run(
        endpoint: str, _: Path, learning: Learning, seed: int, *__: object, **___: object
    ) -> int:
        seen.append((endpoint, learning.batch, seed))
        return 0

    monkeypatch.setattr(module, "run", run)
    file = tmp_path / "north.toml"
    file.write_text('learner = "tcp://127.0.0.1:5570"\nseed = 4\n[learning]\nbatch = 32\n')
    assert main(["--config", str(file)]) == 0
    more = ["--listen", "ipc:///none", "--config-json", '{"batch": 16}']
    assert main(["--config", str(file), *more]) == 0
    assert seen == [("tcp://127.0.0.1:5570", 32, 4), ("ipc:///none", 16, 4)]
    assert main([]) == 2
    assert "--listen" in capsys.readouterr().err
