"""From UDP packets to heatmaps: what a DCA1000 sends becomes what the dataset's reader gives."""

import random
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rvsense.config import Simulate
from rvsense.errors import ConfigError, RvsenseError, UsageError
from rvsense.grids import nearest_cell
from rvsense.replay.devices.board import CRUW, Board
from rvsense.replay.devices.chain import heatmap
from rvsense.replay.devices.dca1000 import (
    RawFrame,
)
from rvsense.replay.devices.packets import Port, open_port
from rvsense.replay.devices.period import PeriodCheck
from rvsense.replay.devices.played import frame_of, play
from rvsense.replay.devices.profile import read_board
from rvsense.replay.devices.radar import Radar
from rvsense.replay.dsp import cube_from_dca1000, dca1000_from_cube
from rvsense.replay.heatmaps import read_heatmap
from rvsense.replay.simulate.plan import plan
from rvsense.replay.simulate.run import simulate
from rvsense.replay.simulate.scene import Scene

PATIENCE_S = 30.0
SIZE = 5000
"""Bytes of a small frame: no multiple of a packet, as in life."""

Cube = NDArray[np.complex64]


# Samples to heatmaps


def test_what_a_dca1000_sends_becomes_the_readers_arrays_bit_for_bit(tmp_path: Path) -> None:
    """One simulated ADC: written as a dataset and read, or sent as packets and received."""
    settings = Simulate(sequences=1, frames=3, sites=1, seed=5, jobs=1)
    simulate(tmp_path / "cruw", settings)
    (folder,) = (tmp_path / "cruw").glob("sequences/*/*/RADAR_RA_H")
    scene = Scene(plan(settings)[0], settings.seed, settings.frames)
    sock = open_port("127.0.0.1", 0)
    radar = Radar(CRUW, Port(sock, CRUW.frame_bytes), "a", 7)
    stop, came = threading.Event(), threading.Event()
    got: list[RawFrame] = []

    def offer(raw: RawFrame) -> None:
        got.append(raw)
        if len(got) == settings.frames:
            came.set()

    thread = threading.Thread(target=radar.capture, args=(offer, stop))
    where = sock.getsockname()
    thread.start()
    payloads = [frame_of(scene.samples(nth)[0]) for nth in range(settings.frames)]
    play(iter(payloads), where, 10.0, settings.frames)
    assert came.wait(PATIENCE_S), radar.dropped()
    stop.set()
    thread.join(PATIENCE_S)
    for nth, raw in enumerate(got):
        (message,) = radar.frames(raw)
        files = [folder / f"{nth:06d}_{chirp:04d}.npy" for chirp in CRUW.keep_loops]
        assert np.array_equal(message.heatmap, read_heatmap(files))
        assert (message.seq, message.site, message.epoch) == (nth, "a", 7)
    assert CRUW.keep_loops == (0, 64, 128, 192)
    steps = [after.stamp_ns - before.stamp_ns for before, after in pairwise(got)]
    assert all(50e6 < step < 500e6 for step in steps), steps  # sent ten a second


def test_words_and_cube_are_inverses() -> None:
    """For every word that an ADC can give."""
    rng = np.random.default_rng(0)
    words = rng.integers(-(2**15), 2**15, 2 * 8 * 128 * 3, dtype=np.int16)
    assert np.array_equal(dca1000_from_cube(cube_from_dca1000(words)), words)


def echo(board: Board, range_m: float, sine: float) -> Cube:
    """Samples of a still point as 3 transmitters' chirps: (loops, transmitters, 4, samples)."""
    profile = board.profile
    beat = float(profile.beat_hz(range_m)) / profile.sample_rate_hz
    wave = np.exp(2j * np.pi * beat * np.arange(board.samples))
    antennas = np.zeros((board.transmitters, 4))
    for place, turn in enumerate(board.azimuth_transmitters):
        antennas[turn] = 4 * place + np.arange(4)
    steered = 1000 * np.exp(1j * np.pi * sine * antennas)[..., None] * wave
    cube: Cube = np.rint(np.repeat(steered[None], board.loops, axis=0)).astype(np.complex64)
    return cube


def strongest(board: Board, cube: Cube, *, swapped: bool = False) -> tuple[int, int, float]:
    """Row, column and height of the map's highest point."""
    words = dca1000_from_cube(cube)
    if swapped:
        words = words.reshape(-1, 2, 2)[:, ::-1].reshape(-1)
    maps = heatmap(words.tobytes(), board)
    assert maps.shape == (len(board.keep_loops), 128, 128, 2)
    magnitude = np.hypot(maps[0, ..., 0], maps[0, ..., 1])
    row, column = np.unravel_index(magnitude.argmax(), magnitude.shape)
    return int(row), int(column), float(magnitude.max())


OTHER = Board(
    slope_mhz_per_us=30.0,
    sample_rate_ksps=6000.0,
    samples=256,
    loops=64,
    transmitters=3,
    azimuth_transmitters=(0, 2),
)


@pytest.mark.parametrize(("range_m", "sine"), [(4.0, 0.3), (12.5, -0.5), (26.0, 0.0)])
def test_another_radars_echo_lands_where_cruws_would(range_m: float, sine: float) -> None:
    """Three transmitters, other slope, rate and samples: the same rows, the same height."""
    row, column, height = strongest(OTHER, echo(OTHER, range_m, sine))
    wanted_row, _ = nearest_cell(range_m, 0.0)
    assert row == wanted_row
    assert abs(column - (64 + 64 * sine)) <= 1
    cruw = replace(CRUW, loops=64, keep_loops=())
    assert height == pytest.approx(strongest(cruw, echo(cruw, range_m, sine))[2], rel=0.1)


def test_sample_order_and_mounting() -> None:
    """Swapped words are swapped back; upside down mirrors left and right."""
    small = replace(CRUW, loops=4, keep_loops=(0, 1, 2, 3))
    cube = echo(small, 8.0, 0.5)
    plain = strongest(small, cube)
    assert strongest(replace(small, sample_order="QI"), cube, swapped=True) == plain
    row, column, _ = strongest(replace(small, upside_down=True), cube)
    assert (row, column) == (plain[0], 128 - plain[1])


def test_a_frame_of_another_size_is_refused() -> None:
    """No part of it is guessed."""
    with pytest.raises(ValueError, match="1044480 are a frame"):
        heatmap(bytes(CRUW.frame_bytes - 4), CRUW)


# The profile


def write(path: Path, text: str) -> Path:
    """A profile on disk."""
    file = path / "radar.toml"
    file.write_text(text)
    return file


def test_a_profile_is_read(tmp_path: Path) -> None:
    """What it leaves out is as in CRUW."""
    text = "transmitters = 3\nazimuth_transmitters = [0, 2]\nloops = 128\nperiod_ms = 50\n"
    board = read_board(write(tmp_path, text + '[control]\ndevice = "AWR1843"\n'))
    assert board.azimuth_transmitters == (0, 2)
    assert board.keep_loops == (0, 32, 64, 96)
    assert board.frame_bytes == 128 * 3 * 4 * 128 * 4
    assert board.period_ns == 50_000_000
    assert board.control is not None
    assert board.control.device == "AWR1843"


@pytest.mark.parametrize(
    ("loops", "kept"), [(4, (0, 1, 2, 3)), (5, (0, 2, 3, 4)), (9, (0, 3, 5, 7)), (255, None)]
)
def test_a_frame_has_four_chirps(loops: int, kept: tuple[int, ...] | None) -> None:
    """However many loops they are chosen from."""
    assert Board(loops=loops).keep_loops == (kept or (0, 64, 128, 192))


def test_an_empty_profile_is_cruws(tmp_path: Path) -> None:
    """Nothing said, nothing changed."""
    assert read_board(write(tmp_path, "")) == CRUW


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampels = 128", "no 'sampels'"),
        ("samples = 128.5", "int expected"),
        ("samples = true", "int expected"),
        ("samples = 8", "16 to 4096"),
        ("slope_mhz_per_us = -1.0", "positive"),
        ("slope_mhz_per_us = nan", "positive"),
        ("slope_mhz_per_us = 70.0", "raise sample_rate_ksps"),
        ("azimuth_transmitters = [0, 2]", "two different turns below 2"),
        ("azimuth_transmitters = [0]", "two different turns"),
        ("azimuth_transmitters = [0, 'x']", "whole numbers"),
        ("keep_loops = [0, 255]", "rising numbers below 255"),
        ("keep_loops = [64, 0]", "rising numbers"),
        ("keep_loops = [" + ", ".join(map(str, range(17))) + "]", "16 at most"),
        ("sample_order = 'II'", "IQ or QI"),
        ("control = 3", "a table expected"),
        ("[control]\nport = '/dev/ttyACM0'", "needs device"),
        ("[control]\ndevice = 'AWR1843L'\nidle_us = -1.0", "idle_us is -1.0"),
        ("[control]\ndevice = 'AWR1843L'\nramp_end_us = nan", "ramp_end_us is nan"),
        ("[control]\ndevice = 'AWR1843L'\nramp_end_us = 38.0", "after 39.0 us"),
        ("[control]\ndevice = 'AWR1843L'\nidle_us = 30.0", "chirps of idle_us"),
        ("samples = ", "radar.toml"),
    ],
)
def test_a_profile_that_cannot_be_served_is_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    """With what is allowed instead."""
    with pytest.raises(ConfigError, match=message):
        read_board(write(tmp_path, text))


def test_a_missing_profile_is_named(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(ConfigError, match=r"none\.toml"):
        read_board(tmp_path / "none.toml")


PERIOD_NS = 33_333_333


def watched(stamps: Iterable[tuple[int, int]]) -> int:
    """Frames (number, stamp) that a check lets pass."""
    check, seen = PeriodCheck(PERIOD_NS), 0
    for number, stamp_ns in stamps:
        check.see(number, stamp_ns)
        seen += 1
    return seen


@pytest.mark.parametrize(("found_ns", "by"), [(16_700_000, 61), (33_464_000, 600)])
def test_a_profile_of_another_radar_shows_in_the_frame_rate(found_ns: int, by: int) -> None:
    """Half a frame cut off at once, a loop of 255 too many (0.4 %) within twenty seconds."""
    with pytest.raises(RvsenseError, match="its loops, samples"):
        watched((nth, nth * found_ns) for nth in range(by))


def test_load_loss_and_crystals_do_not_look_like_another_rate() -> None:
    """Stamps late by up to a tenth of a second, a third of the frames lost, 100 ppm."""
    rng = random.Random(0)
    kept = [nth for nth in range(3000) if rng.random() < 0.7]
    late = ((nth, nth * 33_336_666 + rng.randrange(100_000_000)) for nth in kept)
    assert watched(late) == len(kept)


def test_a_radar_that_pauses_and_a_clock_that_is_set_are_no_other_rate() -> None:
    """A pause begins the check again; what is known to fit is not doubted any more."""
    paused = ((nth, nth * PERIOD_NS + (nth >= 40) * 5_000_000_000) for nth in range(200))
    assert watched(paused) == 200
    jumped = ((nth, nth * PERIOD_NS - (nth >= 1100) * 500_000_000) for nth in range(1300))
    assert watched(jumped) == 1300


def test_a_recording_that_starts_anew_is_judged_by_itself() -> None:
    """The numbers go on without the pause, however short: no other rate."""
    check = PeriodCheck(PERIOD_NS)
    for nth in range(200):
        check.see(nth, nth * PERIOD_NS + (nth >= 60) * 500_000_000, nth // 60)


def test_one_sender_is_heard_at_a_time() -> None:
    """Another one is a stranger until the first has been silent for a second."""
    sock = open_port("127.0.0.1", 0)
    with (
        Port(sock, 1000) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for sender, text in ((one, b"a"), (other, b"b"), (one, b"c")):
            sender.sendto(text, sock.getsockname())
        came = port.receive(threading.Event())
        assert [next(came)[0], next(came)[0]] == [b"a", b"c"]
        assert port.strangers == 1
        time.sleep(1.1)
        other.sendto(b"d", sock.getsockname())
        assert next(came)[0] == b"d"


def test_an_address_that_is_not_ours_is_a_clear_error() -> None:
    """It names the option that helps."""
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:4098.*--listen"):
        open_port("192.0.2.1", 4098)
