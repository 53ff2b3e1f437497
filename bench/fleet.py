"""Stand-ins for daemons at a real learner, and a wire between them that counts its bytes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import zmq

from rvsense import link
from rvsense.daemon.landing import Fetched, Landing
from rvsense.link import Pair
from rvsense.replay.simulate.plan import SequencePlan
from rvsense.replay.simulate.scene import Scene, to_jpeg

PATIENCE_MS = 120_000


class LearnerProcess:
    """`rvsense learner` on a free port of loopback."""

    def __init__(self, state_dir: Path, settings: dict[str, Any]) -> None:
        command = [sys.executable, "-P", "-m", "rvsense", "learner"]
        command += ["--listen", "tcp://127.0.0.1:*", "--state-dir", str(state_dir)]
        command += ["--config-json", json.dumps(settings)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        heard = (line.rpartition("listening at ") for line in self.process.stderr)
        self.endpoint = next((place.strip() for _, said, place in heard if said), "")
        if not self.endpoint:
            raise RuntimeError("the learner ended before it listened")

    def close(self) -> None:
        """Let it save, and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


class Relay:
    """A wire to a TCP address; `up` and `down` are the bytes that went there and came back."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.up = self.down = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                for one, other, way in ((near, far, "up"), (far, near, "down")):
                    threading.Thread(target=self._pump, args=(one, other, way), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, way: str) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 18):
                other.sendall(data)
                setattr(self, way, getattr(self, way) + len(data))
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)


@dataclass(slots=True)
class Peer:
    """A daemon's end of the link, that sends as an outbox does."""

    socket: "zmq.Socket[bytes]"
    sent: int = 0
    taken: int = 0


class Fleet:
    """Several peers at one learner; their sites have names of their own."""

    def __init__(self, endpoint: str, count: int, *, fetch: bool = False) -> None:
        self._context = zmq.Context()
        self.peers = [Peer(self._context.socket(zmq.DEALER)) for _ in range(count)]
        self._poller = zmq.Poller()
        for number, peer in enumerate(self.peers):
            peer.socket.connect(endpoint)
            self._poller.register(peer.socket, zmq.POLLIN)
            life = f"{os.getpid()} {id(self)} {number}"
            hello = link.pack("hello", lockstep=False, daemon=str(number), life=life, fetch=fetch)
            peer.socket.send_multipart(hello)
        for peer in self.peers:
            self.until(peer, "ready")

    def close(self) -> None:
        """Leave."""
        self._context.destroy(linger=0)

    def until(self, peer: Peer, wanted: str) -> tuple[dict[str, Any], list[Any]]:
        """The next message of that kind to a peer."""
        while peer.socket.poll(PATIENCE_MS):
            op, values, payloads = link.unpack(peer.socket.recv_multipart())
            if op == wanted:
                return values, payloads
        raise RuntimeError(f"no {wanted!r} from the learner")

    def send(self, pairs: Sequence[Pair], total: int) -> None:
        """Send `total` pairs, each peer as many, and wait until they are taken."""
        each = total // len(self.peers)
        begun = self.peers[0].taken
        while any(peer.taken < begun + each for peer in self.peers):
            for number, peer in enumerate(self.peers):
                while peer.sent < begun + each and peer.sent - peer.taken < link.WINDOW:
                    pair = replace(pairs[peer.sent % len(pairs)], site=f"site{number}")
                    peer.socket.send_multipart(link.pack_pair(pair), copy=False)
                    peer.sent += 1
            self._listen()

    def fetch(self, peer: Peer, state_dir: Path) -> Fetched:
        """Let a peer fetch the model that it is offered, by the daemon's own code."""
        news: SimpleQueue[None] = SimpleQueue()
        landing = Landing(
            state_dir,
            kept=2,
            most_bytes=1 << 30,
            serving=lambda: "",
            on_landed=lambda _: None,
            on_news=lambda: news.put(None),
        )
        landing.start()
        landing.offer(self.until(peer, "model")[0])
        while landing.fetched.empty():
            while not landing.asks.empty():
                ask = landing.asks.get()
                peer.socket.send_multipart(link.pack("fetch", **asdict(ask)))
                values, payloads = self.until(peer, "chunk")
                landing.chunk(values, payloads[0])
            news.get(timeout=PATIENCE_MS / 1000)
        landing.stop()
        return landing.fetched.get()

    def _listen(self) -> None:
        ready = dict(self._poller.poll(PATIENCE_MS))
        if not ready:
            raise RuntimeError("the learner takes no more pairs")
        for peer in self.peers:
            if peer.socket in ready:
                op, values, _ = link.unpack(peer.socket.recv_multipart())
                if op == "taken":
                    peer.taken = values["count"]


def example_pairs(count: int, seed: int = 0) -> list[Pair]:
    """Pairs of the real size: heatmaps of four chirps in float32, pictures as the camera sends."""
    scene = Scene(SequencePlan(1, 0, "pedestrian", "train", "X"), seed=seed, frames=count)
    return [
        Pair(
            site="site",
            epoch=0,
            stamp_ns=number * 200_000_000,
            radar_seq=number,
            camera_seq=number,
            skew_ns=0,
            codec="jpeg",
            heatmap=scene.radar(number)[0],
            image=to_jpeg(picture),
        )
        for number, picture in zip(range(count), scene.pictures(), strict=False)
    ]
