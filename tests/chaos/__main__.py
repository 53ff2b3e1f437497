"""`python -m tests.chaos SCENARIO`: hurt a real daemon and measure; 1 when a bound is broken."""

import argparse
import importlib
import json
import pkgutil
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol, cast

from tests.chaos import scenarios
from tests.chaos.report import Report


class Scenario(Protocol):
    """What each module of `scenarios` has."""

    NAME: str
    HELP: str

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...  # noqa: D102
    def run(self, options: argparse.Namespace) -> Report: ...  # noqa: D102


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for."""
    known = every()
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    choices = parser.add_subparsers(dest="scenario", required=True)
    _common(choices.add_parser("all", help="each of these, one after the other"))
    for name, scenario in known.items():
        one = choices.add_parser(name, help=scenario.HELP, description=scenario.HELP)
        _common(one)
        scenario.add_options(one)
    options = parser.parse_args(arguments)
    if options.scenario != "all":
        return _show({options.scenario: _run(known[options.scenario], options)}, options)
    counts = ["--quick"] if options.quick else []
    reports = {}
    for name, scenario in known.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        own = parser.parse_args([name, "--seed", str(options.seed), *counts])
        reports[name] = _run(scenario, own)
        if not options.json:
            print(f"\n{name}\n{reports[name].as_text()}", flush=True)
    return _show(reports, options, told=not options.json)


def every() -> dict[str, Scenario]:
    """All scenarios by name, in the order of their files' names."""
    found = pkgutil.iter_modules(scenarios.__path__)
    modules = [importlib.import_module(f"{scenarios.__name__}.{m.name}") for m in found]
    return {module.NAME: cast(Scenario, module) for module in modules}


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn (0)")
    parser.add_argument("--quick", action="store_true", help="small counts")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _run(scenario: Scenario, options: argparse.Namespace) -> Report:
    options.work = Path(tempfile.mkdtemp(prefix=f"rvsense-{scenario.NAME}-"))
    began = time.monotonic()
    try:
        report = scenario.run(options)
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    report.notes.append(f"{time.monotonic() - began:.0f} s")
    return report


def _show(reports: dict[str, Report], options: argparse.Namespace, *, told: bool = False) -> int:
    if options.json:
        facts: dict[str, Any] = {name: report.as_dict() for name, report in reports.items()}
        print(json.dumps(facts, indent=2))
    elif not told:
        print("\n".join(report.as_text() for report in reports.values()))
    return 0 if all(report.kept for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
