"""`rvsense doctor`: what this machine can do, which weights are there, what to run next."""

import argparse
import json
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rvsense.config import Config
    from rvsense.doctor.findings import Check, Finding


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", type=Path, nargs="*", metavar="PATH", help="also: a recording, dataset or model"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the daemon's configuration")
    parser.add_argument("--state-dir", default="", metavar="D", help="the daemon's state")
    parser.add_argument("--quick", action="store_true", help="no trial run of the networks")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    from rvsense import configfile
    from rvsense.config import Config
    from rvsense.doctor.advice import advice
    from rvsense.doctor.findings import Finding, as_lines, as_map, gather, is_fit
    from rvsense.errors import ConfigError

    found, overrides = [], {"state_dir": options.state_dir} if options.state_dir else {}
    try:
        config = configfile.load(options.config, overrides)
    except ConfigError as error:
        found.append(Finding("configuration", "bad", str(error)))
        config = Config(state_dir=options.state_dir)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, between the lines of a report
        found += gather(_checks(config, quick=options.quick))
        found += gather({str(path): partial(_look_at, path) for path in options.paths})
    steps = advice(found, config.state_dir, str(options.config or ""), http=config.endpoints.http)
    if options.json:
        print(json.dumps(as_map(found, steps)))
    else:
        columns = shutil.get_terminal_size((100, 24)).columns
        print("\n".join(as_lines(found, steps, columns)))
    return 0 if is_fit(found) else 1


def _checks(config: "Config", *, quick: bool) -> "dict[str, Check]":
    import torch

    from rvsense.daemon.auth import exposed
    from rvsense.doctor import access, extras, machine, place, ports, trial, weights

    torch.set_num_threads(config.serving.threads)
    checks: dict[str, Check] = {
        "versions": machine.versions,
        "cores": partial(machine.cores, config),
        "memory": machine.memory,
        "gpu": partial(machine.gpu, config),
        "clock": machine.clock,
        "state": partial(place.directory, config),
        "models": partial(place.models, config),
        "checkpoints": partial(place.checkpoints, config, _check_checkpoint),
        "teachers": partial(weights.teachers, config),
        "detector": partial(weights.detector, config),
        "access": partial(access.access, config, exposed),
        "ports": partial(ports.endpoints, config),
        "daemon": partial(ports.daemon, config),
        "extras": extras.extras,
    }
    if not quick:
        checks["answering"] = partial(trial.answering, config)
        checks["learning"] = partial(trial.learning, config, _training_step_ms)
    return checks


def _check_checkpoint(path: Path) -> None:
    from rvsense import jsontext
    from rvsense.errors import ModelError
    from rvsense.learner import checkpoint

    try:
        fingerprint = jsontext.parse((path / checkpoint.MANIFEST).read_text())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a readable checkpoint ({error!r})") from None
    checkpoint.load(path, fingerprint)


def _training_step_ms(config: "Config") -> float | None:
    from rvsense.learner.tryout import step_ms

    return step_ms(config.learning)


def _look_at(path: Path) -> "Iterator[Finding]":
    """A recording, a model's folder or a dataset, told apart by what is there."""
    from rvsense.doctor.findings import Finding
    from rvsense.published import MANIFEST

    about = str(path)
    if (path / MANIFEST).is_file():
        from rvsense.published import open_model

        model = open_model(path)
        text = f"a model, step {model.step}, every checksum right"
        yield Finding(about, "good", text, facts={"sha256": model.sha256})
        return
    from rvsense.replay.recording.reader import is_recording

    if is_recording(path):
        from rvsense.replay.recording.check import check

        report = check(path)
        recover = f"`rvsense record --recover OUT {quote(about)}` writes anew what is whole"
        text = f"a recording, {'whole' if report.whole else 'damaged'}: " + ", ".join(
            f"{count} {kind}" for kind, count in report.counts.items()
        )
        remedy = "" if report.whole else recover
        yield Finding(about, "good" if report.whole else "warn", text, remedy, report.as_map())
        return
    from rvsense.replay.layouts import open_dataset

    dataset = open_dataset(path)
    kind = "simulated" if dataset.simulated else "recorded"
    yield Finding(about, "good", f"a {kind} dataset of {len(dataset.sequences)} sequences")
