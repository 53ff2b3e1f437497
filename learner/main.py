"""The learner's process: one socket, one loop, one thread of work."""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import zmq

from rvsense import configfile, link
from rvsense.config import Learning
from rvsense.errors import ConfigError, RvsenseError
from rvsense.learner import presets
from rvsense.learner.collation import Collation
from rvsense.learner.detector.detectors import Timed, build_detector
from rvsense.learner.follower import follow
from rvsense.learner.group import Group, joined
from rvsense.learner.lock import only_learner
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer
from rvsense.learner.world import ALONE, World
from rvsense.machine import pick_device, preset_name, uses_detector

LINGER_MS = 1000
BURST_MESSAGES = 16
"""Messages taken between two steps at most: many sites must not starve training."""


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
    endpoint: str, state_dir: Path, learning: Learning, seed: int, parent: int | None = None
) -> int:
    """Learn until told to stop, by message, SIGTERM or Ctrl-C, or until process `parent` is gone.

    Started by torchrun, as one of several ranks: rank 0 does that, and the others follow it.

    Raises:
        ConfigError: when the settings cannot work here.
        GroupError: when a rank has gone.
    """
    torch.set_num_threads(learning.threads)
    os.nice(learning.niceness)
    torch.use_deterministic_algorithms(True, warn_only=learning.device != "cpu")
    device = pick_device(learning.device, "learning.device")
    # A daemon's own learner is alone, whatever environment the daemon was started in.
    with joined(learning, device, {} if parent else os.environ) as world:
        trainer = build_trainer(learning, seed, world)
        if isinstance(world, Group) and world.rank > 0:
            # torchrun signals all ranks: this one goes when rank 0 has saved and says so.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            follow(trainer, world)
        else:
            _lead(endpoint, trainer, state_dir, parent)
    return 0


def _lead(endpoint: str, trainer: Trainer, state_dir: Path, parent: int | None) -> None:
    signals: list[int] = []

    def note(number: int, _: object) -> None:
        signals.append(number)

    signal.signal(signal.SIGTERM, note)
    # Ctrl-C reaches the whole process group; the daemon decides when the learner stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent else note)

    def must_stop() -> bool:
        return bool(signals) or _orphaned(parent)

    with only_learner(state_dir, must_stop) as held:
        if held:
            _bind_and_serve(endpoint, trainer, state_dir, must_stop)


def _bind_and_serve(
    endpoint: str, trainer: Trainer, state_dir: Path, must_stop: Callable[[], bool]
) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = LINGER_MS
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(f"learner endpoint {endpoint}: {error}") from None
        _serve(socket, trainer, state_dir, must_stop)


def _serve(socket: Any, trainer: Trainer, state_dir: Path, must_stop: Callable[[], bool]) -> None:
    peer: list[bytes] = []

    def send(message: list[Any]) -> None:
        if peer:
            socket.send_multipart([*peer, *message])

    service = Service(trainer, state_dir, send)
    while not service.stopped:
        if must_stop():
            service.stop()
            break
        wait_ms = 0 if service.wants_step else int(1000 * service.seconds_to_tick())
        for _ in range(BURST_MESSAGES):
            if service.stopped or must_stop() or not socket.poll(wait_ms):
                break
            identity, *parts = socket.recv_multipart()
            op, values, payloads = link.unpack(parts)
            if op == "hello":
                peer[:] = [identity]
            if [identity] == peer:
                service.handle(op, values, payloads)
            service.tick()
            wait_ms = 0
        trainer.world.keep_alive()
        if not service.stopped:
            service.work()


def _orphaned(parent: int | None) -> bool:
    return parent is not None and os.getppid() != parent


def main(arguments: list[str] | None = None) -> int:
    """The command line of `python -m rvsense.learner`; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rvsense.learner", description=__doc__)
    parser.add_argument(
        "--endpoint", required=True, help="ZeroMQ address to bind, ipc:// or tcp://"
    )
    parser.add_argument("--state-dir", required=True, type=Path)
    parser.add_argument(
        "--config-json", default="{}", help="the [learning] settings, and `seed`, as one JSON map"
    )
    parser.add_argument("--parent", type=int, help="stop when this is no longer the parent")
    options = parser.parse_args(arguments)
    try:
        learning, seed = read_settings(options.config_json)
        return run(options.endpoint, options.state_dir, learning, seed, options.parent)
    except RvsenseError as error:
        print(f"rvsense learner: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 0
    except Exception:
        traceback.print_exc()
        return 1


def read_settings(text: str) -> tuple[Learning, int]:
    """The settings that `settings_json` wrote, checked as those of a configuration file are.

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
    config = configfile.load(
        None, {key if key == "seed" else f"learning.{key}": value for key, value in values.items()}
    )
    return config.learning, config.seed


def settings_json(learning: Learning, seed: int) -> str:
    """The value of --config-json for these settings."""
    return json.dumps(asdict(learning) | {"seed": seed})
