"""The source distribution and the wheel: whole, and at work where there is no repository."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

FOLDERS = ("daemon", "learner", "replay")
SHARED = ("systemd", "monitoring")
TINY = """
[pairing]
thin_rate_hz = 30.0
[learning]
batch = 8
min_pool_pairs = 16
queue = 96
publish_every_steps = 10
heldout_pairs = 8
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must end with 0, and sees neither the checkout nor its paths."""
    clean = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False,
        env=clean | {"OMP_NUM_THREADS": "1", "HOME": str(cwd)}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def tracked(root: Path) -> list[str]:
    """The files of the repository, symlinks included."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (root / name).exists()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both: the source distribution of a clean copy, and the wheel made of that."""
    root = Path(__file__).parents[2]
    folder = tmp_path_factory.mktemp("package")
    for name in tracked(root):
        copy = folder / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, copy, follow_symlinks=False)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, "copy", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def prefix(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; what the wheel depends on is lent by this one."""
    folder = tmp_path_factory.mktemp("prefix") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=built)
    [wheel] = built.glob("*.whl")
    [site] = folder.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    pip = ["-m", "pip", "--python", str(folder / "bin/python"), "install", "--quiet"]
    run(sys.executable, *pip, "--no-deps", "--no-index", wheel, cwd=built)
    return folder


def test_to_pack_takes_less_than_to_run(root: Path) -> None:
    """`make dist` sets up what packs, not the gigabytes of what the program runs on."""
    steps = run("make", "-n", "dist", "VENV=nowhere", cwd=root)
    assert "-m build" in steps
    assert "nowhere" not in steps


def test_the_wheel_is_whole(built: Path, root: Path) -> None:
    """Every file of the program is in it, and every unit and rule beside it."""
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = {name for name in tracked(root) if not (root / name).is_symlink()}
    program = {name for name in files if name.startswith("rvsense/")}
    program |= {f"rvsense/{name}" for name in files if name.split("/")[0] in FOLDERS}
    shared = {name for name in files if name.split("/")[0] in SHARED}
    assert program - names == set()
    beside = {name.partition(".data/data/share/rvsense/")[2] for name in names}
    assert (shared | {"constraints.txt"}) - beside == set()


def test_the_source_distribution_stands_alone(built: Path, root: Path) -> None:
    """It has the pages, units and rules, and no tests; the wheel above was built of it."""
    [source] = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {name for name in tracked(root) if name.split("/")[0] in ("docs", "examples", *SHARED)}
    wanted |= {"README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "constraints.txt", "Makefile"}
    assert wanted - names == set()
    assert not [name for name in names if name.startswith("tests/")]


def test_the_program_runs_from_an_empty_folder(prefix: Path, tmp_path: Path) -> None:
    """Simulated, learned from and answered, by the installed program with the installed files."""
    rvsense = prefix / "bin" / "rvsense"
    found = run(
        prefix / "bin/python", "-c", "import rvsense; print(rvsense.__file__)", cwd=tmp_path
    )
    assert Path(found.strip()).is_relative_to(prefix)
    assert "daemon" in run(rvsense, "--help", cwd=tmp_path)
    sizes = ["--sequences", "6", "--frames", "12", "--sites", "1"]
    run(rvsense, "simulate", "cruw", *sizes, cwd=tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    ports = [part for name in ("intake", "results", "requests")
             for part in (f"--{name}", "tcp://127.0.0.1:*")]  # fmt: skip
    settings = ["--config", "tiny.toml", "--state-dir", "state", "--http", "127.0.0.1:0", *ports]
    replay = ["--replay", "cruw", "--speed", "max", "--exit-at-end", "--labels", "1"]
    status = json.loads(run(rvsense, "daemon", *replay, *settings, cwd=tmp_path).splitlines()[-1])
    assert status["serving"]["answered"] > 0
    assert status["model"] is not None
    heatmap = next((tmp_path / "cruw").rglob("RADAR_RA_H/**/*.npy"))
    answer = run(rvsense, "classify", heatmap, "--state-dir", "state", cwd=tmp_path)
    assert json.loads(answer)["model"]
