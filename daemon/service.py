"""The daemon's life: open everything or fail at once, serve, close in order.

The thread that runs `serve` owns every socket. Beside it: the inference thread, the model
loader and the HTTP server; and as processes of their own the learner and, for `--replay`, the
player.
"""

import gc
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO, cast

import structlog
import torch

from rvsense import atomic, logs, state
from rvsense.addresses import split_host_port
from rvsense.config import Config, Replay
from rvsense.daemon import auth, descriptors
from rvsense.daemon.http import HttpServer
from rvsense.daemon.http_guard import Guard
from rvsense.daemon.http_message import json_line
from rvsense.daemon.http_stream import Places
from rvsense.daemon.live import Terminal, closing_lines
from rvsense.daemon.loop import Loop
from rvsense.daemon.page import Page
from rvsense.daemon.parts import Parts, build
from rvsense.daemon.player_process import PlayerProcess
from rvsense.daemon.signals import Signals
from rvsense.daemon.watch import FOR_EVERYONE, Housekeeping, Watch

STOP_WITHIN_S = 3.0
"""Of the five seconds that a stop may take, what the learner gets for its checkpoint."""
THREAD_TURN_S = 1e-4
"""A forward pass takes the interpreter's lock anew for each of its layers, and may wait this long
each time for a thread that makes a page of metrics: by Python's own 5 ms it came out far too late.
"""
END_WITHIN_S = 120.0
"""At the end of a replay nobody waits at the door: a large checkpoint may take its time."""


def run(config: Config, *, reload: Callable[[], Config] | None) -> int:
    """Run a daemon until it is told to stop; returns the exit status.

    Raises:
        ConfigError: when something it needs is missing or taken, before anything starts.
    """
    terminal = Terminal(sys.stderr)
    configure_logs = partial(logs.configure, stream=cast(TextIO, terminal))
    configure_logs(config.log_level)
    torch.set_num_threads(config.serving.threads)
    descriptors.make_room(config.access.max_connections)
    with ExitStack() as stack:
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(THREAD_TURN_S)
        signals = Signals()
        stack.callback(signals.restore)
        state_dir = state.prepare(state.state_dir(config))
        stack.enter_context(state.locked(state_dir))
        atomic.remove_leftovers(state_dir / "models")
        runtime_dir = stack.enter_context(_private_folder())
        parts = build(
            config,
            state_dir=state_dir,
            runtime_dir=Path(runtime_dir),
            reload=reload,
            configure_logs=configure_logs,
        )
        stack.callback(parts.close)
        return _serve(parts, signals, terminal, Path(runtime_dir))


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """For sockets: in systemd's own place where there is one, since /tmp is the service's alone."""
    return tempfile.TemporaryDirectory(prefix="rvsense-", dir=os.environ.get("RUNTIME_DIRECTORY"))


def _serve(parts: Parts, signals: Signals, terminal: Terminal, runtime_dir: Path) -> int:
    """Start, turn until told to stop, end in order; returns the exit status."""
    player, replay = None, parts.config.replay
    loop = Loop(parts, exit_at_end=replay.exit_at_end)
    signals.wake_with(loop.wake)
    watch = Watch(parts, loop)
    loop.health = lambda: watch.health().as_map()
    keeping = Housekeeping(parts, loop, watch, terminal)
    with ExitStack() as stack:
        _open_http(parts, watch, stack)
        parts.start()
        if replay.path:
            player = PlayerProcess(
                played(parts.config),
                parts.endpoints["intake"],
                parts.config.seed,
                keys=auth.player_keys(parts.config, runtime_dir),
            )
            stack.callback(player.stop)
            loop.watch_player(player)
        # A full collection looks through all of torch: every thread stands for 150 ms, and frames
        # wait. What is there by now stays, and is passed over.
        stack.callback(gc.unfreeze)
        gc.freeze()
        _say_ready(parts)
        signals.act(loop)
        while not loop.stopping:
            loop.turn()
            keeping.turn(time.monotonic())
            signals.act(loop)
        parts.notifier.stopping("stopping")
        if player is not None:
            player.terminate()
        _stop(parts, loop, signals)
    terminal.end()
    status = loop.status()
    # A person gets a few lines; a program that reads our output gets everything.
    print(closing_lines(status) if sys.stdout.isatty() else json_line(status), flush=True)
    return loop.exit_status


def played(config: Config) -> Replay:
    """What the player is told: where the detector labels, annotations are for scoring alone."""
    if config.learning.label_source == "detector":
        return replace(config.replay, labels=0.0)
    return config.replay


def _open_http(parts: Parts, watch: Watch, stack: ExitStack) -> None:
    log, page = structlog.get_logger(), Page(parts, watch)
    address, hosts = parts.config.endpoints.http, parts.config.page.hosts.split(",")
    server = HttpServer(
        address,
        watch.routes() | page.routes(),
        lambda path, error: log.error("http_failed", path=path, error=repr(error)),
        streams=page.streams(),
        places=Places(parts.config.page.viewers),
        guard=Guard((socket.gethostname(), split_host_port(address)[0], *hosts), FOR_EVERYONE),
    )
    parts.endpoints["http"] = server.address
    server.start()
    stack.callback(server.close)


def _say_ready(parts: Parts) -> None:
    parts.metrics.reloaded(ok=True, now_s=time.time())
    with suppress(OSError):  # a full disk: who looks for this daemon is then told its --requests
        state.say_where(parts.state_dir, parts.endpoints)
    structlog.get_logger().info(
        "ready", pid=os.getpid(), lockstep=parts.lockstep, **parts.endpoints
    )
    if exposed := auth.exposed(parts.config):
        structlog.get_logger().warning(
            "insecure", exposed=exposed, meaning="neither encrypted nor authenticated"
        )
    parts.notifier.ready("taking frames in")


def _stop(parts: Parts, loop: Loop, signals: Signals) -> None:
    """Finish pairs and answers; let the learner write its checkpoint."""
    loop.finish()
    parts.keeper.ask_to_stop()  # what it is at may take as long as the learner
    if parts.learner is None:
        return
    parts.learner.ask_to_stop()
    began = time.monotonic()
    while not parts.learner.ended:
        # A signal may come while a replay's last checkpoint is being written.
        if signals.stop:
            parts.learner.hurry()
        within_s = STOP_WITHIN_S if signals.stop else END_WITHIN_S
        if time.monotonic() - began > within_s:
            return
        loop.turn(timeout_ms=20)
