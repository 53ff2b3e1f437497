"""Player and peers give the same samples, in the same order, and a player sends each of them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from bench import loaders, replaying
from rvsense import wire
from rvsense.config import Simulate
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Dataset
from rvsense.replay.simulate.run import simulate

SEQUENCES, FRAMES = 4, 3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two sites, so that the player's order is not that of the names."""
    out = tmp_path_factory.mktemp("data") / "cruw"
    simulate(out, Simulate(sequences=SEQUENCES, frames=FRAMES, sites=2, jobs=1))
    return open_dataset(out)


def content(samples: Iterator[loaders.Sample]) -> list[tuple[bytes, bytes]]:
    """Bytes of each sample; heatmaps are (4, 128, 128, 2) float32."""
    made = []
    for heatmap, image in samples:
        values = np.asarray(heatmap)  # a loader of torch gives tensors
        assert values.shape == (4, 128, 128, 2)
        assert values.dtype == np.float32
        made.append((values.tobytes(), image))
    return made


@pytest.mark.parametrize(
    "peer",
    [
        "webdataset, in process",
        "torchdata nodes, 1 thread",
        "StatefulDataLoader, in process",
        "StatefulDataLoader, 1 worker",
    ],
)
@pytest.mark.filterwarnings("ignore:'set_vital':UserWarning")
def test_every_loader_gives_what_the_player_gives(
    dataset: Dataset, tmp_path: Path, peer: str
) -> None:
    """The same bytes in the same order."""
    pytest.importorskip("webdataset" if "webdataset" in peer else "torchdata")
    ours = content(loaders.player(dataset))
    assert len(ours) == SEQUENCES * FRAMES == len(set(ours))
    assert content(replaying.peers(dataset, tmp_path)[peer]()) == ours


def test_all_that_is_read_is_sent(dataset: Dataset) -> None:
    """What comes out of the socket is what the loaders' comparison reads."""
    received: list[loaders.Sample] = []
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def take() -> None:
            while len(received) < SEQUENCES * FRAMES:
                radar, camera = (wire.decode(socket.recv_multipart()) for _ in range(2))
                assert isinstance(radar, RadarFrame)
                assert isinstance(camera, CameraFrame)
                received.append((radar.heatmap, camera.image))

        taking = threading.Thread(target=take)
        taking.start()
        assert replaying.playing_hz(dataset, f"tcp://127.0.0.1:{port}") > 0
        taking.join()
    assert content(iter(received)) == content(loaders.player(dataset))


def test_a_peer_that_is_missing_is_named(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the way to install it; the others stay."""
    monkeypatch.setattr(replaying, "find_spec", lambda name: name == "torchdata")
    assert not any("webdataset" in name for name in replaying.peers(dataset, tmp_path))
    assert "webdataset is missing" in (said := capsys.readouterr().out)
    assert ".[bench]" in said
