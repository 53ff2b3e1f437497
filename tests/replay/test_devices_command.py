"""`rvsense device` at the command line: what is refused, before anything is opened or sent."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvsense.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("radar --listen nowhere", "HOST:PORT"),
        ("radar --listen 127.0.0.1:0 --site a/b", "--site"),
        ("radar --listen 127.0.0.1:0 --profile none.toml", "none.toml"),
        ("camera none.mp4", "no camera at none.mp4"),
        ("laptop none.mp4", "no camera at none.mp4"),
        ("radar --listen 127.0.0.1:0 --card 127.0.0.1:4096", "[control]"),
        ("radar --listen 127.0.0.1:0 --from nobody.invalid", "--from: nobody.invalid"),
        ("dca1000 --to 4098", "HOST:PORT"),
        ("dca1000 --to nobody.invalid:4098", "--to: nobody.invalid"),
    ],
)
def test_mistakes_are_named(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with a status that is not 0."""
    assert main(["device", *words.split()]) in (2, 78)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "camera x --fps 0",
        "camera x --fps nan",
        "camera x --size 10",
        "camera x --option framerate",
        "camera x --stamp-source ntp",
        "camera x --epoch -1",
        "laptop x --fov 5",
        "dca1000 --rate inf",
        "",
    ],
)
def test_impossible_values_are_refused(words: str) -> None:
    """By the parser, with status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["device", *words.split()])
    assert ended.value.code == 2


def test_the_played_card_sends_what_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """And says so in one JSON line."""
    assert main(["device", "dca1000", "--to", "127.0.0.1:9", "--frames", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == 2


@pytest.mark.process
def test_the_played_card_ends_at_a_signal() -> None:
    """With its line of figures, also while it makes the frames that it is to send."""
    words = [sys.executable, "-P", "-m", "rvsense", "device", "dca1000", "--to", "127.0.0.1:9"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.poll() is None and signal.SIGTERM not in caught(process.pid):
            time.sleep(0.05)
        process.terminate()
        assert json.loads(process.stdout.read())["device"] == "dca1000"
    assert process.returncode == 0


def caught(pid: int) -> set[int]:
    """The signals that a process has handlers for."""
    (line,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return {number for number in range(1, 65) if int(line, 16) >> (number - 1) & 1}


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [("av", "camera film.mp4", "camera"), ("xwr", "radar --profile p.toml", "radar")],
)
def test_a_missing_extra_says_how_to_get_it(
    *,
    module: str,
    words: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the words to install it by."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"")
    (tmp_path / "p.toml").write_text('sample_order = "QI"\n[control]\ndevice = "AWR1843L"\n')
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["device", *words.split(), "--to", "tcp://127.0.0.1:1"]) == 78
    assert f"pip install 'rvsense[{extra}]'" in capsys.readouterr().err
