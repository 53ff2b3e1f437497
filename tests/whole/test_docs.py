"""The commands in the documents are true: each is run, in order, as it stands there."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/protocol.md",
         "docs/recording.md", "docs/devices.md")  # fmt: skip
BIN = Path(sys.executable).parent


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language in a page."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Each command line of a page's sh blocks."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [line for line in lines if line.strip()]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, with rvsense on the PATH and a home of its own."""
    return subprocess.run(
        command, shell=True, cwd=folder, check=False, capture_output=True, text=True, timeout=300,
        env=environment(folder),
    )  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    """The environment of a new user whose home is `folder`."""
    path = f"{BIN}:{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "XDG_STATE_HOME": str(folder / "state"),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a data set and a trace, where a model has been trained."""
    folder = tmp_path_factory.mktemp("home")
    sizes = "--sequences 48 --frames 12 --sites 2 --jobs 2"
    assert shell(f"rvsense simulate cruw {sizes}", folder).returncode == 0
    trace = [
        json.dumps({"kind": kind, "seq": n, "stamp_ns": n * 33_333_333})
        for n in range(60)
        for kind in ("radar", "camera")
    ]
    (folder / "trace.jsonl").write_text("\n".join(trace))
    return folder


@pytest.fixture(scope="module")
def daemon(home: Path) -> Iterator[None]:
    """A daemon on the default ports, with results flowing, after the README's own first one."""
    first = next(line for line in commands("README.md") if "--exit-at-end" in line)
    done = shell(first, home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] is not None
    command = [str(BIN / "rvsense"), "daemon", "--replay", "cruw/", "--loop", "--no-learn"]
    command += ["--state-dir", "fresh/"]  # where that line has left its model
    process = subprocess.Popen(
        command, cwd=home, env=environment(home), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert any('"ready"' in line for line in process.stderr)
    yield
    process.terminate()
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(("page", "command"), [(p, c) for p in PAGES for c in commands(p)])
def test_commands_work(page: str, command: str, home: Path, request: pytest.FixtureRequest) -> None:
    """A make target exists; any other command ends with status 0 and says something."""
    if command.startswith("make "):
        assert subprocess.run([*command.split(), "-n"], cwd=ROOT, check=False).returncode == 0
        return
    request.getfixturevalue("daemon")
    if "--exit-at-end" in command:
        return  # the daemon fixture has run exactly this line
    done = shell(command, home)
    assert done.returncode == 0, done.stderr
    assert done.stdout or ">" in command


@pytest.mark.parametrize(("page", "index"), [(p, i) for p in PAGES
                                             for i in range(len(blocks(p, "python")))])  # fmt: skip
@pytest.mark.usefixtures("daemon")
def test_programs_work(page: str, index: int, home: Path) -> None:
    """A program in a page runs against a live daemon; one that follows it for ever is stopped."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", blocks(page, "python")[index]], cwd=home,
        env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    if "subscribe" in blocks(page, "python")[index]:
        assert len(process.stdout.readline().split()) == 3
        process.terminate()
    _, error = process.communicate(timeout=120)
    assert not error


def test_the_radar_of_the_protocol_page_is_answered(home: Path, daemon: None) -> None:
    """The site that the protocol page's program speaks for has results."""
    time.sleep(0.5)
    done = shell("rvsense echo --site north --count 1 --json", home)
    result = json.loads(done.stdout)
    assert result["site"] == "north"
    assert result["seq"] > 0
