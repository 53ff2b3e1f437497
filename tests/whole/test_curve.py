"""CURVE as an operator lives with it: keys by the command, a real daemon, revocation, restart."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rvsense
from rvsense.requesting import ask

pytestmark = pytest.mark.process
PATIENCE_S = 60.0


def keys(*arguments: str | Path) -> None:
    """`rvsense keys`."""
    command = [sys.executable, "-P", "-m", "rvsense", "keys", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """A server's folder that allows the subscriber `page` and the operator `me`."""
    folder = tmp_path / "keys"
    keys("init", folder)
    keys("new", folder, "--role", "subscriber", "page")
    keys("new", folder, "--role", "operator", "me")
    return folder


def test_a_replay_behind_keys_is_followed_and_asked_about(
    cruw: Path, ring: Path, start: Callable[..., Any]
) -> None:
    """The player gets in by itself; who has a key follows or asks, who has none is told why."""
    daemon = start("--replay", cruw, "--speed", "5", "--loop", "--no-learn", "--keys", ring)
    at = daemon.wait_for("ready")
    page, me = ring / "bundles" / "subscriber-page", ring / "bundles" / "operator-me"
    with rvsense.subscribe(at["results"], keys=page, silence_s=PATIENCE_S) as results:
        assert next(results).site
    with (
        rvsense.subscribe(at["results"], timeout_s=PATIENCE_S) as results,
        pytest.raises(rvsense.DeniedError, match="asks for keys"),
    ):
        next(results)
    with pytest.raises(rvsense.DeniedError, match="does not let this key in"):
        ask(at["requests"], "status", keys=page)
    status = ask(at["requests"], "status", keys=me)["status"]
    assert status["access"]["curve"] is True
    assert status["access"]["denied"]["requests: wrong_role"] == 1
    assert daemon.stop()["serving"]["balanced"]


def test_a_revoked_subscriber_leaves_and_a_new_one_comes(
    cruw: Path, ring: Path, start: Callable[..., Any]
) -> None:
    """SIGHUP is enough: no restart, and whoever stays misses nothing."""
    daemon = start("--replay", cruw, "--speed", "2", "--loop", "--no-learn", "--keys", ring)
    at = daemon.wait_for("ready")["results"]
    keys("new", ring, "--role", "subscriber", "late")
    bundles = ring / "bundles"
    with (
        rvsense.subscribe(at, keys=bundles / "subscriber-page", timeout_s=PATIENCE_S) as leaving,
        rvsense.subscribe(at, keys=bundles / "operator-me", timeout_s=PATIENCE_S) as staying,
        rvsense.subscribe(at, keys=bundles / "subscriber-late", timeout_s=PATIENCE_S) as late,
    ):
        next(leaving), next(staying)
        with pytest.raises(rvsense.DeniedError):
            next(late)
        keys("revoke", ring, "--role", "subscriber", "page")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("connection_denied", entrance="results", reason="revoked")
        with pytest.raises(rvsense.DeniedError, match="revoked"):
            list(leaving)
        assert next(late).site
        for _ in range(20):
            next(staying)
        assert (staying.missed, staying.connections) == (0, 1)
    daemon.stop()


def test_a_daemon_that_was_killed_is_found_again(
    cruw: Path, ring: Path, start: Callable[..., Any]
) -> None:
    """On the same port, with the same keys: the subscriber goes on, and says what happened."""
    options = ["--replay", cruw, "--speed", "5", "--loop", "--no-learn", "--keys", ring]
    first = start(*options)
    at = first.wait_for("ready")["results"]
    page = ring / "bundles" / "subscriber-page"
    silences: list[float] = []
    with rvsense.subscribe(
        at, keys=page, timeout_s=PATIENCE_S, silence_s=0.5, on_silence=silences.append
    ) as results:
        for _ in range(30):
            next(results)
        first.kill()
        while not silences:
            results.receive(0.2)
        assert results.is_stale
        start(*options, "--results", at).wait_for("ready")
        while not results.restarts:
            next(results)
        assert results.connections == 2
        assert not results.is_stale


def test_what_other_machines_reach_is_refused_or_warned_of(
    ring: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Exit 78 and the remedy; with --insecure it runs, warns and says so in its status."""
    command = [sys.executable, "-P", "-m", "rvsense", "daemon", "--results", "tcp://*:0"]
    done = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "s")],
        check=False, capture_output=True, text=True, timeout=PATIENCE_S,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 78
    assert all(word in done.stderr for word in ("endpoints.results", "--keys", "--insecure"))
    daemon = start("--no-learn", "--results", "tcp://*:0", "--insecure")
    assert daemon.wait_for("insecure")["exposed"] == ["results"]
    assert daemon.stop()["access"]["exposed"] == ["results"]
    daemon = start("--no-learn", "--results", "tcp://*:0", "--keys", ring)
    daemon.wait_for("ready")
    access = daemon.stop()["access"]
    assert (access["curve"], access["exposed"]) == (True, [])


def test_a_player_without_the_right_key_says_so(
    cruw: Path, ring: Path, start: Callable[..., Any]
) -> None:
    """`rvsense replay` ends with 78 instead of waiting for ever."""
    at = start("--no-learn", "--keys", ring).wait_for("ready")["intake"]
    command = [sys.executable, "-P", "-m", "rvsense", "replay", str(cruw), "--to", at]
    for more, words in (
        ([], "asks for keys"),
        (["--keys", str(ring / "bundles" / "operator-me")], "does not let this key in"),
    ):
        began = time.monotonic()
        done = subprocess.run(
            [*command, *more], check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 78, done.stderr
        assert words in done.stderr
        assert time.monotonic() - began < PATIENCE_S / 2
