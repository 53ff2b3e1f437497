"""`python -m tests.fuzz TARGET`: feed it, count what comes of it; 1 when a bound is broken."""

import argparse
import importlib
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Protocol, cast

from tests.chaos.report import Report
from tests.fuzz import targets

ROOT = Path(__file__).parents[2]


class Target(Protocol):
    """What each module of `targets` has."""

    NAME: str
    HELP: str
    MESSAGES: int
    QUICK: int

    def run(self, options: argparse.Namespace) -> Report: ...  # noqa: D102


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for."""
    known = every()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*known, "all"], help="; ".join(_lines(known)))
    parser.add_argument("--messages", type=int, metavar="N", help="how many (each has its own)")
    parser.add_argument("--seed", type=int, default=0, help="everything follows from it (0)")
    parser.add_argument("--only", type=int, metavar="I", help="try number I of the seed alone")
    parser.add_argument("--quick", action="store_true", help="as many as in CI")
    options = parser.parse_args(arguments)
    if options.target == "all":
        statuses = [alone(name, options) for name in known]
        return int(any(statuses))
    target = known[options.target]
    count = _messages(target, options)
    report = run(target, seed=options.seed, messages=count, only=options.only)
    print(f"\n{options.target}\n{report.as_text()}", flush=True)
    return 0 if report.kept else 1


def alone(name: str, options: argparse.Namespace) -> int:
    """One target in a process of its own: its memory is nobody else's.

    Its exit status, negative where a signal ended it.
    """
    command = [sys.executable, "-m", "tests.fuzz", name, "--seed", str(options.seed)]
    command += ["--quick"] * options.quick
    for option in ("messages", "only"):
        value = getattr(options, option)
        command += [] if value is None else [f"--{option}", str(value)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def every() -> dict[str, Target]:
    """All targets by name, in the order of their files' names."""
    found = pkgutil.iter_modules(targets.__path__)
    modules = [importlib.import_module(f"{targets.__name__}.{m.name}") for m in found]
    return {module.NAME: cast(Target, module) for module in modules}


def run(target: Target, *, seed: int, messages: int, only: int | None = None) -> Report:
    """One target, in a folder of its own."""
    work = Path(tempfile.mkdtemp(prefix=f"rvsense-fuzz-{target.NAME}-"))
    began = time.monotonic()
    try:
        report = target.run(argparse.Namespace(seed=seed, messages=messages, only=only, work=work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.notes.append(f"{time.monotonic() - began:.0f} s, seed {seed}")
    return report


def _messages(target: Target, options: argparse.Namespace) -> int:
    return options.messages or (target.QUICK if options.quick else target.MESSAGES)


def _lines(known: dict[str, Target]) -> list[str]:
    return [f"{name}: {target.HELP}" for name, target in known.items()]


if __name__ == "__main__":
    sys.exit(main())
