"""A board that is set up: over a serial line and UDP, as xwr speaks to the real ones.

The board is played here: its firmware's prompt on a pseudo terminal, the DCA1000's commands and
packets on two addresses of the loopback network.
"""

import json
import os
import pty
import socket
import struct
import threading
import tty
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from xwr.capture import DCAError
from xwr.radar import XWRError

from rvsense.cli import main
from rvsense.errors import ConfigError, RvsenseError
from rvsense.replay.devices.board import Board, Control
from rvsense.replay.devices.chain import heatmap
from rvsense.replay.devices.dca1000 import Assembler
from rvsense.replay.devices.played import play
from rvsense.replay.devices.ti import check_control, running_board

PATIENCE_S = 30.0
HOST, CARD = "127.0.0.1", "127.0.0.2"
START_RECORD, STOP_RECORD, RESET = 0x05, 0x06, 0x02
BOARD = Board(loops=16, samples=128, sample_order="QI", period_ms=50.0)


def free_port() -> int:
    """A UDP port that is free on both addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


class PlayedBoard:
    """A demo board and its capture card; sends a frame a time once both were told to start."""

    def __init__(self, data_port: int) -> None:
        self.port = free_port()
        self.serial_end, self._terminal = pty.openpty()
        tty.setraw(self._terminal)
        self.serial = os.ttyname(self._terminal)
        self.said: list[str] = []
        self.commands: list[int] = []
        self.refuses = ""
        self.payload = bytes(range(256)) * (BOARD.frame_bytes // 256)
        self._to = (HOST, data_port)
        self._stop = threading.Event()
        self._sending = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((CARD, self.port))
        self._socket.settimeout(0.1)
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._firmware, self._card, self._radiate)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Switch it off."""
        self._stop.set()
        os.write(self._terminal, b"\n")
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._socket.close()
        os.close(self.serial_end)
        os.close(self._terminal)

    def _firmware(self) -> None:
        line = b""
        while not self._stop.is_set():
            line += os.read(self.serial_end, 1)
            if not line.endswith(b"\n"):
                continue
            said, line = line.decode().strip(), b""
            self.said.append(said)
            answer = "Error -1" if self.refuses and said.startswith(self.refuses) else "Done"
            os.write(self.serial_end, f"{said}\n{answer}\n\rmmwDemo:/>".encode())
            if said == "sensorStart" and START_RECORD in self.commands:
                self._sending.set()

    def _card(self) -> None:
        while not self._stop.is_set():
            try:
                request, sender = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            magic, command = struct.unpack_from("<HH", request)
            assert magic == 0xA55A
            self.commands.append(command)
            if command == STOP_RECORD:
                self._sending.clear()
            self._socket.sendto(struct.pack("<HHHH", 0xA55A, command, 0, 0xEEAA), sender)

    def _radiate(self) -> None:
        while not self._stop.is_set():
            if self._sending.wait(0.1):
                frames = iter(lambda: self.payload if self._sending.is_set() else b"", b"")
                play(frames, self._to, 20.0, 0, source=(CARD, 0))


@pytest.fixture
def data_port() -> int:
    """Where packets are to go."""
    return free_port()


@pytest.fixture
def played(data_port: int) -> Iterator[PlayedBoard]:
    """A board on this machine's own wires."""
    board = PlayedBoard(data_port)
    yield board
    board.close()


def test_a_board_is_set_up_runs_and_is_stopped(played: PlayedBoard, data_port: int) -> None:
    """What the profile says is what the board is told; what it sends are the profile's frames."""
    board = replace(BOARD, control=Control("AWR1843L", played.serial))
    stop = threading.Event()
    assembler = Assembler(board.frame_bytes)
    got = []
    with running_board(board, (HOST, data_port), (CARD, played.port)) as port:
        watchdog = threading.Timer(PATIENCE_S, stop.set)
        watchdog.start()
        for packet, arrival_ns in port.receive(stop):
            got += assembler.feed(packet, arrival_ns)
            if len(got) >= 3:
                stop.set()
        watchdog.cancel()
        assert port.strangers == 0
    assert len(got) >= 3
    assert got[0].payload == played.payload
    assert np.isfinite(heatmap(got[0].payload, board)).all()
    profile = next(line for line in played.said if line.startswith("profileCfg"))
    assert {"77.0", "21.0017", "128", "4000"} <= set(profile.split())
    frame = next(line for line in played.said if line.startswith("frameCfg"))
    assert {"16", "50.0"} <= set(frame.split())
    assert played.said.index("sensorStart") > played.said.index(profile)
    assert played.commands[-2:] == [STOP_RECORD, RESET]


def test_a_board_that_refuses_says_why_and_is_stopped(played: PlayedBoard, data_port: int) -> None:
    """The firmware's own word is in the error."""
    played.refuses = "profileCfg"
    board = replace(BOARD, control=Control("AWR1843L", played.serial))
    with (
        pytest.raises(RvsenseError, match=r"AWR1843L refused.*Error -1"),
        running_board(board, (HOST, data_port), (CARD, played.port)),
    ):
        pass
    assert played.commands[-2:] == [STOP_RECORD, RESET]


def test_a_board_is_stopped_whatever_fails_and_the_first_error_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A capture card that refuses to stop does not keep the board from being reset."""
    done: list[str] = []

    def refused(*_: object) -> None:
        raise DCAError("STOP_RECORD failed")

    def not_set_up() -> None:
        raise XWRError("profileCfg refused")

    def end(name: str) -> SimpleNamespace:
        return SimpleNamespace(close=lambda: done.append(name))

    dca = SimpleNamespace(
        stop=refused,
        reset_ar_device=lambda: done.append("reset"),
        config_socket=end("config"),
        data_socket=end("data"),
    )
    system = SimpleNamespace(stream=not_set_up, dca=dca, xwr=SimpleNamespace(port=end("port")))
    monkeypatch.setattr("rvsense.replay.devices.ti._system", lambda *_: system)
    board = replace(BOARD, control=Control("AWR1843L", "/dev/null"))
    with pytest.raises(RvsenseError, match="profileCfg"), running_board(board, (HOST, 1)):
        pass
    assert done == ["reset", "config", "data", "port"]
    assert "STOP_RECORD failed" in capsys.readouterr().err


def test_the_command_sets_up_a_board(
    *,
    played: PlayedBoard,
    data_port: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`rvsense device radar` with a [control] table: frames come, and the board is stopped."""
    profile = tmp_path / "radar.toml"
    profile.write_text(
        'loops = 16\nperiod_ms = 50.0\nsample_order = "QI"\n'
        f'[control]\ndevice = "AWR1843L"\nport = "{played.serial}"\n'
    )
    words = ["device", "radar", "--profile", str(profile), "--to", "tcp://127.0.0.1:1"]
    words += ["--listen", f"{HOST}:{data_port}", "--seconds", "3"]
    assert main([*words, "--card", f"{CARD}:{played.port}"]) == 0
    assert json.loads(capsys.readouterr().out)["captured"] >= 1
    assert played.commands[-2:] == [STOP_RECORD, RESET]
    assert main([*words, "--from", CARD]) == 2
    assert "--from" in capsys.readouterr().err


def test_a_card_that_does_not_answer_is_named(data_port: int) -> None:
    """With what to look at."""
    board = replace(BOARD, control=Control("AWR1843L", "/dev/null"))
    with (
        pytest.raises(RvsenseError, match=r"127\.0\.0\.2:\d+ does not answer.*cable"),
        running_board(board, (HOST, data_port), (CARD, free_port())),
    ):
        pass


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (BOARD, "no .control."),
        (replace(BOARD, control=Control("AWR1843")), "set up with 3"),
        (replace(BOARD, control=Control("AWR9999")), "no board of xwr's"),
        (replace(BOARD, control=Control("AWR2944")), "complex samples"),
        (replace(BOARD, sample_order="IQ", control=Control("AWR1843L")), "Q first"),
    ],
)
def test_a_profile_that_would_not_be_set_up_is_refused(board: Board, message: str) -> None:
    """Before anything is touched."""
    with pytest.raises(ConfigError, match=message):
        check_control(board)
