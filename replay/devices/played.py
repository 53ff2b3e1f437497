"""`rvsense device dca1000`: a simulated radar that sends its samples as a DCA1000 would.

For trying the radar's adapter, and for testing it, where no radar is: the same UDP packets at the
same rate, out of the simulator's ADC. Only the four loops that CRUW keeps are simulated; the others
of a frame repeat them.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np

from rvsense.config import Simulate
from rvsense.replay.devices.board import CRUW
from rvsense.replay.devices.dca1000 import PAYLOAD_BYTES, packets
from rvsense.replay.devices.running import until_signal
from rvsense.replay.dsp import Complex, dca1000_from_cube
from rvsense.replay.simulate.plan import plan
from rvsense.replay.simulate.scene import Scene

_MADE = 300
_BURST = 16
"""Packets between two looks at the clock."""


def frame_of(cube: Complex) -> bytes:
    """A whole frame of CRUW's radar, 255 loops, from its four that matter (4, 8, 128)."""
    nearest = np.searchsorted(CRUW.keep_loops, np.arange(CRUW.loops), side="right") - 1
    return dca1000_from_cube(cube[nearest]).tobytes()


def scenes(seed: int, frames: int) -> Iterator[bytes]:
    """Frames of samples, scene after scene of one site, for ever."""
    settings = Simulate(sequences=40, frames=frames, sites=1, seed=seed)
    while True:
        for one in plan(settings):
            scene = Scene(one, seed, frames)
            for frame in range(frames):
                yield frame_of(scene.samples(frame)[0])


def main(to: tuple[str, int], rate_hz: float, count: int, seed: int) -> int:
    """Play until a signal, or `count` frames (0: for ever); then one JSON line of figures."""
    with until_signal() as stop:
        made = min(count, _MADE) or _MADE
        began_s = time.monotonic()
        sent = play(ahead(scenes(seed, min(made, 30)), made, stop), to, rate_hz, count)
        seconds = round(time.monotonic() - began_s, 3)
        print(json.dumps({"device": "dca1000", "sent": sent, "seconds": seconds}), flush=True)
    return 0


def play(
    frames: Iterator[bytes],
    to: tuple[str, int],
    rate_hz: float,
    count: int = 0,
    source: tuple[str, int] = ("", 0),
) -> int:
    """Send `count` frames (0: all), evenly over time; returns how many it sent."""
    sent = 0
    place, number = 0, 1
    began_s = 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(source)
        sock.connect(to)
        for payload in frames:
            began_s = began_s or time.monotonic()  # the first frame may take its time to make
            due_s = began_s + sent / rate_hz
            step_s = 0.9 / rate_hz / (len(payload) / PAYLOAD_BYTES)
            for nth, packet in enumerate(packets(payload, place, number)):
                if nth % _BURST == 0:
                    time.sleep(max(0.0, due_s + nth * step_s - time.monotonic()))
                _send(sock, packet)
            place += len(payload)
            number += -(-len(payload) // PAYLOAD_BYTES)
            sent += 1
            if sent == count:
                break
    return sent


def _send(sock: socket.socket, packet: bytes) -> None:
    try:
        sock.send(packet)
    except ConnectionRefusedError:
        return  # nobody listens: a DCA1000 would not know either


def ahead(frames: Iterator[bytes], most: int, stop: threading.Event) -> Iterator[bytes]:
    """The first `most` frames again and again: made once, so that sending sets the pace."""
    made: list[bytes] = []
    for payload in frames:
        made.append(payload)
        if len(made) == most or stop.is_set():
            break
    while not stop.is_set():
        yield from made
