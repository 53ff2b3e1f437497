"""The same samples read by this project's player, by webdataset and by torchdata.

A sample is one instant: the heatmap (4 chirps, 128, 128, 2) in float32, and the JPEG undecoded,
as a frame message carries them. webdataset reads a tar shard for each sequence, in the form that
suits it best: one npy and one JPEG a sample. torchdata reads the dataset's own files, a chirp
each, where they lie, as the player does.
"""

import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvsense.frames import CameraFrame, RadarFrame
from rvsense.replay.ahead import read_ahead
from rvsense.replay.plan import Labels, plan, playing_order
from rvsense.replay.sequence import Dataset, Sequence
from rvsense.wire import decode

Sample = tuple[NDArray[np.float32], bytes]
Loader = Callable[[], Iterator[Sample]]


def player(dataset: Dataset) -> Iterator[Sample]:
    """What the player sends, in its order: every file is checked, one thread reads ahead."""
    heatmap = np.empty(0, np.float32)
    for item in read_ahead(plan(dataset.sequences, Labels()), threading.Event()):
        if item.error is not None:
            raise item.error
        for message in item.messages:
            frame = decode(message.parts)
            if isinstance(frame, RadarFrame):
                heatmap = frame.heatmap
            elif isinstance(frame, CameraFrame):
                yield heatmap, frame.image


def webdataset(shards: list[str]) -> Iterator[Sample]:
    """By webdataset, in this process."""
    import webdataset as wds

    return iter(wds.WebDataset(shards, shardshuffle=False).decode().to_tuple("npy", "jpg"))


def torchdata_nodes(dataset: Dataset) -> Iterator[Sample]:
    """By torchdata's nodes: one thread maps indices to samples, as the player's reads ahead."""
    from torch.utils.data import SequentialSampler
    from torchdata.nodes import Loader, ParallelMapper, SamplerWrapper

    files = Files(dataset)
    node = SamplerWrapper(SequentialSampler(files))
    node = ParallelMapper(node, map_fn=files.__getitem__, num_workers=1, method="thread")
    return iter(Loader(node))


def torchdata_loader(dataset: Dataset, workers: int) -> Iterator[Sample]:
    """By torchdata's StatefulDataLoader; 0 workers read in this process."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return iter(StatefulDataLoader(Files(dataset), batch_size=None, num_workers=workers))


class Files:
    """A map-style dataset over the files, in the player's order."""

    def __init__(self, dataset: Dataset) -> None:
        self._samples = [
            _files(sequence, frame_id)
            for sequence in playing_order(dataset.sequences)
            for frame_id in sequence.frame_ids
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        *chirps, image = self._samples[index]
        return np.stack([np.load(path) for path in chirps]), image.read_bytes()


def write_shards(dataset: Dataset, folder: Path) -> list[str]:
    """A tar file for each sequence with its samples, in the player's order."""
    shards = []
    for number, sequence in enumerate(playing_order(dataset.sequences)):
        shards.append(str(folder / f"{number:05d}.tar"))
        with tarfile.open(shards[-1], "w") as tar:
            for frame_id in sequence.frame_ids:
                heatmap = io.BytesIO()
                np.save(heatmap, sequence.read_radar(frame_id).heatmap)
                _add(tar, f"{frame_id:06d}.npy", heatmap.getvalue())
                _add(tar, f"{frame_id:06d}.jpg", sequence.read_camera(frame_id).image)
    return shards


def _files(sequence: Sequence, frame_id: int) -> list[Path]:
    assert sequence.radar_files is not None
    assert sequence.image_folder is not None
    image = sequence.image_folder / f"{frame_id:010d}.jpg"
    return [*sequence.radar_files.of(frame_id), image]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
