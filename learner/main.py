"""The learner's process: its command line, its settings, its signals."""

import argparse
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from rvsense import configfile, logs
from rvsense.config import Access, Config, Learning
from rvsense.device import settle
from rvsense.errors import ConfigError, RvsenseError, UsageError
from rvsense.journal import last_words
from rvsense.learner import door, presets, reserve
from rvsense.learner.collation import Collation
from rvsense.learner.detector.detectors import Timed, build_detector
from rvsense.learner.follower import follow
from rvsense.learner.group import Group, joined
from rvsense.learner.hush import own_stderr
from rvsense.learner.lock import only_learner
from rvsense.learner.options import add_options
from rvsense.learner.reception import receive
from rvsense.learner.reproducible import be_reproducible
from rvsense.learner.shortage import is_shortage
from rvsense.learner.trainer import Trainer
from rvsense.learner.vitals import Vitals
from rvsense.learner.world import ALONE, World
from rvsense.learner.yielding import go_first, yield_to_serving
from rvsense.machine import pick_device, preset_name, uses_detector
from rvsense.notify import Notifier
from rvsense.stopping import HURRY


def build_trainer(learning: Learning, seed: int, world: World = ALONE) -> Trainer:
    """Teacher, encoder and all that learns, as the settings say.

    Rank 0 alone is given pairs, so it alone has a detector to look at their images.

    Raises:
        ConfigError: for missing weights, or CUDA where there is none.
    """
    device = pick_device(learning.device, "learning.device")
    preset = presets.preset_of(learning, preset_name(learning, device))
    teacher = preset.teacher(learning.teacher_weights, device)
    encoder = presets.initial_encoder(
        preset,
        teacher.key_dim,
        seed=seed,
        weights=learning.teacher_weights,
        short_keys=learning.short_keys,
    )
    collation = _collation(learning, device) if world.rank == 0 else None
    return Trainer(
        learning,
        preset,
        teacher,
        encoder,
        seed=seed,
        device=device,
        collation=collation,
        world=world,
    )


def _collation(learning: Learning, device: torch.device) -> Collation | None:
    if not uses_detector(learning):
        return None
    return Collation(learning, Timed(build_detector(learning.detector, device), time.monotonic))


def run(
    endpoint: str,
    state_dir: Path,
    learning: Learning,
    seed: int,
    parent: int | None = None,
    *,
    keys: str = "",
) -> int:
    """Learn until told to stop, by message, SIGTERM or Ctrl-C, or until process `parent` is gone.

    Started by torchrun, as one of several ranks: rank 0 does that, and the others follow it.

    Raises:
        ConfigError: when the settings cannot work here.
        GroupError: when a rank has gone.
    """
    torch.set_num_threads(learning.threads)
    yield_to_serving(learning.niceness)
    if parent is not None:
        go_first()
    reserve.set_aside()
    be_reproducible(warn_only=learning.device != "cpu")
    device = pick_device(learning.device, "learning.device")
    settle(device)
    # A daemon's own learner is alone, whatever environment the daemon was started in.
    with joined(learning, device, {} if parent else os.environ) as world:
        trainer = build_trainer(learning, seed, world)
        if isinstance(world, Group) and world.rank > 0:
            # torchrun signals all ranks: this one goes when rank 0 has saved and says so.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            follow(trainer, world)
        else:
            _lead(endpoint, trainer, state_dir, parent, keys)
    # All is saved. The interpreter's last collection, over all of torch, costs a second of
    # processor: half a minute at our niceness on a busy machine, and whoever stops us waits.
    gc.freeze()
    return 0


def _lead(endpoint: str, trainer: Trainer, state_dir: Path, parent: int | None, keys: str) -> None:
    signals: list[int] = []
    reload, hurry = threading.Event(), threading.Event()
    # Of a daemon's own learner systemd knows nothing: the daemon watches it.
    vitals = Vitals(Notifier({} if parent else os.environ))

    def note(number: int, _: object) -> None:
        signals.append(number)
        vitals.stopping()

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    # Ctrl-C reaches the whole process group; the daemon decides when the learner stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent else note)

    if parent:  # one that serves many daemons is hurried by nobody
        signal.signal(HURRY, lambda *_: hurry.set())

    def must_stop() -> bool:
        return bool(signals) or _orphaned(parent)

    def say_where(bound: str) -> None:
        if parent is None:
            print(f"rvsense learner: listening at {bound}", file=sys.stderr, flush=True)

    with only_learner(state_dir, must_stop) as held:
        if held:
            owned = parent is not None
            receive(
                endpoint,
                trainer,
                state_dir,
                must_stop,
                say_where,
                on_turn=vitals.turned,
                owned=owned,
                hurried=lambda: hurry.is_set() or must_stop(),
                guarded=partial(door.guarded, keys=keys, reload=reload),
            )


def _orphaned(parent: int | None) -> bool:
    return parent is not None and os.getppid() != parent


def main(arguments: list[str] | None = None) -> int:
    """The command line of `python -m rvsense.learner`; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="rvsense learner", description="One learner for any number of daemons."
    )
    add_options(parser)
    return start(parser.parse_args(arguments))


def start(options: argparse.Namespace) -> int:
    """Learn as the command line says; returns the exit status, errors told on standard error."""
    try:
        config = read_settings(options.config_json, options.config)
        endpoint = options.endpoint or config.learner
        if not endpoint:
            raise UsageError("where to listen? give --listen, or `learner` in --config")
        access = Access(
            keys=options.keys or config.access.keys,
            insecure=options.insecure or config.access.insecure,
        )
        own = options.parent is not None
        door.check(endpoint, access)
        if access.keys and not own:
            logs.configure(config.log_level, own_stderr())
        return run(
            endpoint,
            options.state_dir,
            config.learning,
            config.seed,
            options.parent,
            keys="" if own else access.keys,
        )
    except RvsenseError as error:
        last_words(f"rvsense learner: {error}")
        return error.status
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        if isinstance(error, OSError):  # as text it names the file
            last_words(f"rvsense learner: {error}")
        elif is_shortage(error):
            last_words(f"rvsense learner: {error!r}")
        else:
            last_words(traceback.format_exc())
        return 1


def read_settings(text: str, file: Path | None = None) -> Config:
    """The settings of `file`, changed by those that `settings_json` wrote; checked alike.

    Raises:
        ConfigError: when the text is no JSON map, or naming every setting that does not exist
            or may not hold its value, and what is allowed.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--config-json: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError("--config-json: not a JSON map of settings")
    return configfile.load(
        file, {key if key == "seed" else f"learning.{key}": value for key, value in values.items()}
    )


def settings_json(learning: Learning, seed: int) -> str:
    """The value of --config-json for these settings."""
    return json.dumps(asdict(learning) | {"seed": seed})
