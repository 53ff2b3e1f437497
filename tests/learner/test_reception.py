"""The learner's socket: what may wait in it for a daemon that reads nothing, and who is heard."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from rvsense import link
from rvsense.errors import ConfigError
from rvsense.learner import reception


@pytest.mark.parametrize(("owned", "most"), [(True, 1000), (False, 128)])
def test_what_waits_for_a_daemon_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owned: bool, most: int
) -> None:
    """Of each a chunk of a model at most; the owner of a learner fetches none, and has longer."""
    seen: list[tuple[int, int]] = []

    def serve(socket: Any, *_: object, **__: object) -> None:
        seen.append((socket.sndhwm, socket.rcvhwm))

    monkeypatch.setattr(reception, "_serve", serve)
    nothing: Any = None
    endpoint = f"ipc://{tmp_path}/l"
    reception.receive(
        endpoint,
        nothing,
        tmp_path,
        lambda: True,
        lambda _: None,
        on_turn=lambda *_: None,
        owned=owned,
    )
    assert seen == [(most, 2 * link.WINDOW)]


def test_a_path_is_taken_from_nobody(tmp_path: Path) -> None:
    """A learner where another listens already would leave that one deaf."""
    nothing: Any = None
    endpoint = f"ipc://{tmp_path}/l"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        other.bind(endpoint)
        with pytest.raises(ConfigError, match="in use"):
            reception.receive(
                endpoint,
                nothing,
                tmp_path,
                lambda: True,
                lambda _: None,
                on_turn=lambda *_: None,
                owned=False,
            )


def test_who_is_not_admitted_any_more_is_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door is asked about every message; the others are heard as they came."""
    heard: list[list[bytes]] = []
    service = SimpleNamespace(
        wants_step=False, seconds_to_tick=lambda: 10.0, stopped=False, tick=lambda: None, peers=()
    )

    def hear(_: bytes, parts: list[bytes]) -> None:
        heard.append(parts)
        service.stopped = parts == [b"the", b"end"]

    service.hear = hear
    monkeypatch.setattr(reception, "Service", lambda *_, **__: service)
    trainer: Any = SimpleNamespace(world=SimpleNamespace(keep_alive=lambda: None))
    service.trainer = trainer
    door: Any = SimpleNamespace(
        admits=lambda message: message[-1].bytes != b"revoked", idle=lambda: None
    )
    endpoint = f"ipc://{tmp_path}/l"
    with zmq.Context() as context, context.socket(zmq.DEALER) as daemon:
        daemon.linger = 0
        daemon.connect(endpoint)
        for parts in ([b"one"], [b"two", b"revoked"], [b"the", b"end"]):
            daemon.send_multipart(parts)
        reception.receive(
            endpoint,
            trainer,
            tmp_path,
            lambda: False,
            lambda _: None,
            on_turn=lambda *_: None,
            owned=False,
            guarded=lambda *_: nullcontext(door),
        )
    assert heard == [[b"one"], [b"the", b"end"]]
