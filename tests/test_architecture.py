"""The rules of the house: who may import whom, and what no file may be or hold."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("daemon", "learner", "replay")
PURE = {
    "daemon": (
        *("pairing", "decisions", "matching", "offset", "fit", "lane", "release", "ledger"),
        *("thinning", "order", "scoring", "outbox", "backoff", "exam", "ending", "labels"),
        *("core", "effects", "tally", "health", "label_use", "clocks", "history"),
        *("http_guard", "http_message", "figures", "hearsay"),
    ),
    "rvsense": (
        *("wire", "results", "link", "frames", "grids", "answer", "errors", "addresses"),
        *("policy", "gate", "endless", "labelling.scene", "labelling.when", "labelling.table"),
        *("jsontext", "manifests"),
        *("terminal.clockcheck", "terminal.words", "terminal.trend", "terminal.sites"),
    ),
}
IMPURE = {"zmq", "torch", "time", "threading", "socket", "random", "subprocess", "asyncio"}


def tracked() -> list[Path]:
    """Every file of the repository that is meant to be in it, symlinks included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines()]


def python_files() -> list[Path]:
    """All Python files, each once."""
    return [path for path in tracked() if path.suffix == ".py" and path.exists()]


def imported(path: Path) -> Iterator[str]:
    """Full names of what a file imports, wherever in it: at the top, lazily, for typing."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{item.name}" for item in node.names)


def test_the_three_folders_do_not_import_each_other() -> None:
    """What two of them need lives in rvsense/; lazy imports count."""
    for folder in FOLDERS:
        others = tuple(f"rvsense.{other}" for other in FOLDERS if other != folder)
        for path in (ROOT / folder).rglob("*.py"):
            for name in imported(path):
                assert not f"{name}.".startswith(tuple(f"{one}." for one in others)), (path, name)
                assert name.split(".")[0] not in FOLDERS, (path, name)


def test_the_shared_package_needs_none_of_the_three() -> None:
    """Only the command line, which starts them, knows the three folders."""
    folders = tuple(f"rvsense.{folder}." for folder in FOLDERS)
    for path in (ROOT / "rvsense").glob("*.py"):
        if path.name != "cli.py":
            assert not [name for name in imported(path) if f"{name}.".startswith(folders)], path


@pytest.mark.parametrize("folder", PURE)
def test_pure_modules_import_nothing_impure(folder: str) -> None:
    """Clock, disk, sockets, threads and chance are passed in, or stay outside."""
    for module in PURE[folder]:
        path = ROOT / folder / f"{module.replace('.', '/')}.py"
        names = {name.split(".")[0] for name in imported(path)}
        assert not names & IMPURE, (module, names & IMPURE)


def run_python(program: str, **environment: str) -> str:
    """What a fresh interpreter prints that does not see the checkout by its place."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd="/",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_the_core_pulls_in_neither_torch_nor_zmq() -> None:
    """Not even by what it imports imports: the pairing tool starts in a moment."""
    modules = [
        f"rvsense.{'' if folder == 'rvsense' else 'daemon.'}{module}"
        for folder, modules in PURE.items()
        for module in modules
    ]
    program = f"import sys, {', '.join(modules)}; print(*{{'torch', 'zmq'}} & set(sys.modules))"
    assert run_python(program) == ""


def test_python_daemon_is_not_shadowed() -> None:
    """`import daemon` is python-daemon's, and `rvsense.daemon` is ours."""
    program = "import daemon, rvsense.daemon; print(daemon.DaemonContext.__module__)"
    assert run_python(program) == "daemon.daemon"
    theirs, ours = run_python(
        "import daemon, rvsense.daemon; print(daemon.__file__, rvsense.daemon.__file__)"
    ).split()
    assert Path(ours).resolve().parent == ROOT / "daemon"
    assert ROOT / "daemon" not in Path(theirs).resolve().parents


def test_the_symlinks_are_relative() -> None:
    """A checkout works wherever it is put."""
    for folder in FOLDERS:
        link = ROOT / "rvsense" / folder
        assert link.is_symlink()
        assert os.readlink(link) == f"../{folder}"


def test_no_file_is_long_and_every_module_says_what_it_is() -> None:
    """At most 400 lines; the first five tell what belongs here."""
    for path in python_files():
        text = path.read_text()
        assert len(text.splitlines()) <= 400, path
        if path.relative_to(ROOT).parts[0] in (*FOLDERS, "rvsense"):
            assert ast.get_docstring(ast.parse(text)), f"{path}: no docstring"


def test_every_test_says_what_it_pins() -> None:
    """Each test has a docstring."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_no_path_of_a_machine_is_in_the_repository() -> None:
    """What works here must work elsewhere."""
    places = re.compile("|".join(("/wo" + "rk/", "/tmp/" + "bash", r"/home/[a-z]+/")))
    for path in tracked():
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1_000_000:
            found = places.search(path.read_text(errors="replace"))
            assert found is None, f"{path}: {found and found[0]}"
