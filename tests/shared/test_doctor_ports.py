"""`rvsense doctor` on the daemon's ports: free, or taken by whom."""

import json
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rvsense import state
from rvsense.config import Config, Endpoints
from rvsense.doctor import ports
from rvsense.doctor.advice import advice
from rvsense.doctor.findings import gather


def config_with(http: int, **changes: Any) -> Config:
    """Endpoints that do not depend on who else runs here."""
    endpoints = Endpoints("tcp://127.0.0.1:0", "ipc://r", "tcp://127.0.0.1:*", f"127.0.0.1:{http}")
    return replace(Config(endpoints=endpoints), **changes)


def test_a_port_that_is_taken_is_named_with_who_has_it() -> None:
    """By the process that listens there, which is this one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = config_with(taken.getsockname()[1])
        *others, http = ports.endpoints(config)
        assert [finding.standing for finding in others] == ["good"] * 3
        assert http.standing == "bad"
        assert "process " in http.text
        assert "--http" in http.remedy
    assert next(ports.daemon(config)).facts == {"running": False}


def test_a_path_that_is_taken_is_told(tmp_path: Path) -> None:
    """By one who listens there, or by a file: a daemon would refuse to begin."""
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "socket"))
        taken.listen()
        ends = Endpoints(
            f"ipc://{tmp_path}/file", f"ipc://{tmp_path}/socket", f"ipc://{tmp_path}/x"
        )
        intake, results, requests, _ = ports.endpoints(Config(endpoints=ends))
    assert (intake.standing, results.standing, requests.standing) == ("bad", "bad", "good")
    assert intake.text.endswith("file is a file")
    assert results.text.endswith("socket is in use")


def test_a_port_that_speaks_no_http_is_named_with_who_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it says, the findings of all four ports are there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        def greet() -> None:
            with suppress(OSError):
                while True:
                    with taken.accept()[0] as peer:
                        peer.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                        peer.recv(1024)

        threading.Thread(target=greet, daemon=True).start()
        config = config_with(taken.getsockname()[1])
        found = gather({"ports": lambda: ports.endpoints(config)})
        assert [finding.standing for finding in found] == ["good", "good", "good", "bad"]
        monkeypatch.setattr(ports, "_listener", lambda _: 2**22 + 1)  # gone since
        assert "another process" in list(ports.endpoints(config))[-1].text


def test_a_body_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """By length, and by time."""
    endless = SimpleNamespace(read1=lambda count: b"x" * count)
    assert ports.MOST_BYTES <= len(ports._body(endless)) < ports.MOST_BYTES + 65536
    monkeypatch.setattr(ports, "PATIENCE_S", 0.0)
    assert ports._body(endless) == ""


def test_an_interface_by_name_is_not_called_bad() -> None:
    """ZeroMQ binds it; what listens there is not looked up."""
    config = config_with(0)
    lo = replace(config, endpoints=replace(config.endpoints, intake="tcp://rvsense.invalid:45880"))
    assert next(iter(ports.endpoints(lo))).standing == "note"


@pytest.mark.parametrize("ready", [True, False])
def test_a_daemon_that_runs_is_recognised(
    ready: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its /statusz: its ports are its own, and what keeps it from being ready is told. A
    proxy of the environment is not asked.
    """
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # which would remember that of before
    pages: dict[str, tuple[int, Any]] = {}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, page = pages[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = config_with(server.server_port, state_dir=str(tmp_path))
    here = {"requests": "tcp://127.0.0.1:1", "results": "tcp://127.0.0.1:2"}
    pages["/statusz"] = (
        200,
        {"version": "9", "pid": 7, "endpoints": here, "state_dir": str(tmp_path)},
    )
    checks = [{"name": "answers", "ok": ready, "reason": "none answered for 9 s"}]
    pages["/readyz"] = (200 if ready else 503, {"checks": checks})
    (found,) = ports.daemon(config)
    assert found.standing == ("good" if ready else "warn")
    assert ("none answered for 9 s" in found.remedy) != ready
    assert list(ports.endpoints(config))[-1].standing == "good"
    (link := tmp_path / "link").symlink_to(tmp_path)  # as systemd makes one
    assert list(ports.endpoints(replace(config, state_dir=str(link))))[-1].standing == "good"
    assert "rvsense top tcp://127.0.0.1:1" in "\n".join(advice([found], ""))

    second = replace(config, state_dir=str(tmp_path / "second"))
    assert list(ports.endpoints(second))[-1].standing == "warn"

    elsewhere = replace(config, endpoints=replace(config.endpoints, http="127.0.0.1:1"))
    with state.locked(tmp_path):
        state.say_where(tmp_path, {"http": f"127.0.0.1:{server.server_port}"})
        assert next(ports.daemon(elsewhere)).facts["running"] is True
    assert next(ports.daemon(elsewhere)).facts["running"] is False
    server.shutdown()
    server.server_close()
