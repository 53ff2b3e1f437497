"""Frames a second from disk to socket, over the 30 of the source and over two data loaders.

    python -m bench.replaying [--quick] [--json FILE]

A frame is one instant: a heatmap of four chirps and its JPEG, read from the five files that ROD2021
keeps them in. The player runs at speed max against a process that only receives, so that nothing
but the player sets the pace. The loaders read the same samples and send nothing; they are compared
with the player's own reading, which opens the same files and, unlike them, checks every number.
The dataset is simulated; its files were just read, so the page cache holds them: no disk is timed.
"""

import multiprocessing
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from bench import loaders
from bench.sides import Goal, Row, options, report, rounds
from rvsense.config import Simulate
from rvsense.replay.layouts import open_dataset
from rvsense.replay.player import PlayerSettings, play
from rvsense.replay.sequence import Dataset
from rvsense.replay.simulate.run import simulate

SOURCE_HZ = 30.0
GOAL = Goal("at least", 8)


def sink(pipe: Connection) -> None:
    """A process that receives all that comes, without a copy, until it is ended."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        pipe.send(f"tcp://127.0.0.1:{port}")
        while True:
            socket.recv_multipart(copy=False)


def with_images(dataset: Dataset) -> Dataset:
    """Without CRUW's test sequences, which have none: a sample is radar and camera."""
    whole = [sequence for sequence in dataset.sequences if sequence.camera_ns]
    return replace(dataset, sequences=whole)


def playing_hz(dataset: Dataset, to: str) -> float:
    """Instants a second of one pass of the player, until the receiver has all of them.

    Raises:
        RuntimeError: some frame was not sent.
    """
    began_s = time.monotonic()
    tally = play(dataset, PlayerSettings(dataset.path, to, speed=None), threading.Event())
    took_s = time.monotonic() - began_s
    instants = sum(len(sequence.frame_ids) for sequence in dataset.sequences)
    if tally.sent != {"radar": instants, "camera": instants} or not tally.delivered:
        raise RuntimeError(f"{instants} instants, sent {dict(tally.sent)}")
    return instants / took_s


def reading_hz(load: loaders.Loader) -> float:
    """Samples a second of one pass of a loader."""
    began_s = time.monotonic()
    count = sum(1 for _ in load())
    return count / (time.monotonic() - began_s)


def peers(dataset: Dataset, folder: Path) -> dict[str, loaders.Loader]:
    """What the player's reading is compared with; what is not installed is said and left out."""
    found: dict[str, loaders.Loader] = {}
    if _installed("webdataset"):
        shards = loaders.write_shards(dataset, folder)
        found["webdataset, in process"] = partial(loaders.webdataset, shards)
    if _installed("torchdata"):
        found["torchdata nodes, 1 thread"] = partial(loaders.torchdata_nodes, dataset)
        for name, workers in (("in process", 0), ("1 worker", 1)):
            loader = partial(loaders.torchdata_loader, dataset, workers)
            found[f"StatefulDataLoader, {name}"] = loader
    return found


def _installed(package: str) -> bool:
    if find_spec(package):
        return True
    print(
        f"{package} is missing, and so are its rows: pip install -c constraints.txt -e '.[bench]'"
    )
    return False


def compare(dataset: Dataset, folder: Path, to: str, count: int) -> list[Row]:
    """All rows."""
    mine = partial(playing_hz, dataset, to)
    mine()  # fills the page cache
    rates = rounds(count, mine, lambda: SOURCE_HZ)
    rows = [Row("replay, disk to socket", *rates, "frames/s", "the source", GOAL)]
    mine = partial(reading_hz, partial(loaders.player, dataset))
    for name, load in peers(dataset, folder).items():
        other = partial(reading_hz, load)
        other()  # imports what it needs
        rows.append(Row("replay, reading", *rounds(count, mine, other), "frames/s", name))
    return rows


def main() -> None:
    """Simulate a dataset, measure, report."""
    arguments = options(__doc__, "bench.replaying").parse_args()
    sequences, count = (2, 3) if arguments.quick else (20, 9)
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    receiver = context.Process(target=sink, args=(theirs,), daemon=True)
    receiver.start()
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "cruw", Simulate(sequences=sequences, jobs=2))
        dataset = with_images(open_dataset(Path(folder) / "cruw"))
        rows = compare(dataset, Path(folder), pipe.recv(), count)
    receiver.terminate()
    report(rows, threads="1 for each process, and the player's own two", path=arguments.json)


if __name__ == "__main__":
    main()
