"""Debian's Prometheus, with the configuration that we ship, scrapes a real daemon."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.ops.dashboard import queries

pytestmark = pytest.mark.process

T = TypeVar("T")
PATIENCE_S = 120.0
"""Only a hang reaches this: nothing here is timed."""


@contextmanager
def running(command: list[str], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process that is gone afterwards."""
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of the metrics of a daemon that answers a replay."""
    ours = [sys.executable, "-P", "-m", "rvsense"]
    sizes = ["--sequences", "1", "--frames", "10", "--sites", "1"]
    subprocess.run([*ours, "simulate", "cruw", *sizes], cwd=tmp_path, check=True)
    ports = [part for name in ("intake", "results", "requests")
             for part in (f"--{name}", "tcp://127.0.0.1:*")]  # fmt: skip
    command = [*ours, "daemon", "--replay", "cruw", "--loop", "--no-learn", "--state-dir", "state"]
    command += [*ports, "--http", "127.0.0.1:0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"
    with (
        log.open("w") as stream,
        running(command, cwd=tmp_path, env=environment, stderr=stream) as process,
    ):

        def address() -> str:
            assert process.poll() is None, log.read_text()
            return next((event["http"] for event in events(log) if event["event"] == "ready"), "")

        yield wait_for(address)


def events(log: Path) -> list[dict[str, Any]]:
    """What a daemon has logged, as far as lines are whole."""
    lines = log.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]


def wait_for(look: Callable[[], T]) -> T:
    """What `look` finds, as soon as it finds something."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing found")


@pytest.fixture
def prometheus(
    root: Path, tmp_path: Path, daemon: str, tool_path: Callable[..., str]
) -> Iterator[str]:
    """The URL of a Prometheus with our configuration, turned to that daemon and made quicker."""
    program = tool_path("prometheus", "run .ci/get-prometheus", ci_has_it=True)
    text = (root / "monitoring" / "prometheus.yml").read_text()
    for old, new in (("127.0.0.1:9464", daemon), (": 5s", ": 1s"), (": 15s", ": 1s")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "alerts.yml").write_text((root / "monitoring" / "alerts.yml").read_text())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, cwd=tmp_path, stderr=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


def answer(prometheus: str, path: str, **query: str) -> Any:
    """What its HTTP interface says."""
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
        return json.load(response)["data"]


def value(prometheus: str, query: str) -> float:
    """The one value of a PromQL query, as soon as it has one that is not 0."""

    def look() -> float:
        try:
            found = answer(prometheus, "query", query=query)["result"]
        except urllib.error.URLError:  # it is not up yet
            return 0.0
        return float(found[0]["value"][1]) if len(found) == 1 else 0.0

    return wait_for(look)


def test_a_real_prometheus_reads_a_real_daemon(root: Path, prometheus: str) -> None:
    """Frames are seen to come in and to be answered, the target is up, every rule evaluates."""
    assert value(prometheus, 'sum(rvsense_frames_received_total{kind="radar"})') > 0
    assert value(prometheus, "rate(rvsense_latency_seconds_count[10s])") > 0
    assert value(prometheus, 'up{job="rvsense"}') == 1
    assert value(prometheus, "process_resident_memory_bytes{job='rvsense'}") > 1e7

    def evaluated() -> dict[str, str]:
        [group] = answer(prometheus, "rules")["groups"]
        health = {rule["name"]: rule["health"] for rule in group["rules"]}
        return {} if "unknown" in health.values() else health

    # What is compared (`> 0`) or has to be estimated first may have no series; all else has one.
    asked = {where: query for where, query in queries().items() if "> 0" not in query}
    del asked["Clock offset A"]
    empty = [
        where
        for where, query in asked.items()
        if not answer(prometheus, "query", query=query)["result"]
    ]
    assert empty == []
    rules = (root / "monitoring" / "alerts.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert wait_for(evaluated) == dict.fromkeys(alerts, "ok")
