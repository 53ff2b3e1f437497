"""From recordings to samples: once, whole, with every problem named."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rvsense.errors import RvsenseError
from rvsense.frames import CLASSES
from rvsense.learner.offline.fingerprint import fingerprint
from rvsense.learner.offline.gather import (
    Encoding,
    Gathered,
    annotated,
    gather,
    open_teacher,
    samples_path,
)
from rvsense.learner.offline.samples import UNLABELLED, Samples, join, load, readable, save
from rvsense.machine import RANDOM
from tests.learner.offline.toyscenes import ToyRecording, toy_samples

RECORDINGS = (
    ToyRecording("a", scene=0, frames=4),
    ToyRecording("b", scene=2, frames=5, site="west", bad=(2,)),
    ToyRecording("c", scene=3, frames=3, annotated=False),
    ToyRecording("d", scene=1, frames=2, bad=(0, 1)),
)


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    """Every second frame, with a teacher that knows nothing."""
    return Encoding("edge", RANDOM, open_teacher("edge", RANDOM).sha256(), every=2)


@pytest.fixture(scope="module")
def folder(encoding: Encoding, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a finished run."""
    folder = tmp_path_factory.mktemp("gathered")
    run(encoding, folder, jobs=2)
    return folder


def run(
    encoding: Encoding, folder: Path, told: list[float] | None = None, jobs: int = 1
) -> Gathered:
    """All recordings."""
    progress = list[float]() if told is None else told
    return gather(RECORDINGS, encoding, folder, jobs, progress.append)


def equal(one: Samples, other: Samples) -> bool:
    """To the bit; NaN is like NaN."""
    return all(
        torch.equal(getattr(one, name).nan_to_num(-9), getattr(other, name).nan_to_num(-9))
        for name in Samples.__slots__
    )


def test_samples_come_back_as_they_were_saved(tmp_path: Path) -> None:
    """All fields of two files, one after the other; the inputs can be left out."""
    whole = toy_samples(sequences=4, frames=3)
    parts = [whole.take(torch.arange(5)), whole.take(torch.arange(5, 12))]
    paths = [tmp_path / "0", tmp_path / "1"]
    for path, part in zip(paths, parts, strict=True):
        save(path, part)
        assert readable(path)
    assert equal(load(paths), whole)
    assert equal(join(parts), whole)
    light = load(paths, inputs=False)
    assert light.inputs.numel() == 0
    assert equal(replace(light, inputs=whole.inputs), whole)


def test_annotations_foretell_the_samples(encoding: Encoding, folder: Path) -> None:
    """Row for row, but for the frames that turn out unreadable: b's second and d's only one."""
    found = annotated(RECORDINGS, encoding.every)
    samples = load([samples_path(folder, n) for n in range(len(RECORDINGS))])
    read = torch.tensor([0, 1, 2, 4, 5, 6])
    assert len(found.labels) == 8
    for name in ("labels", "sequences", "sites"):
        assert torch.equal(getattr(found, name)[read], getattr(samples, name)), name
    assert len(annotated([], encoding.every).labels) == 0


def test_a_torn_or_foreign_file_is_not_readable(tmp_path: Path) -> None:
    """At whatever byte it was cut."""
    path = tmp_path / "s"
    assert not readable(path)
    save(path, toy_samples(sequences=1, frames=1))
    data = path.read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert not readable(path)
    path.write_text("something else altogether")
    assert not readable(path)


def test_each_frame_is_encoded_with_what_is_known_of_it(encoding: Encoding, folder: Path) -> None:
    """Every second frame; class, nearest object, site and sequence; what was bad is left out."""
    found = run(encoding, folder)
    data = load(found.paths)
    assert data.sequences.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.sites.tolist() == [0, 0, 1, 1, 0, 0]
    assert data.labels.tolist() == [0, 0, 2, 2, UNLABELLED, UNLABELLED]
    assert CLASSES[2] == "cyclist"
    assert data.range_m[2:4].tolist() == [7.5, 7.5]
    assert data.range_m[[0, 1, 4, 5]].isnan().all()
    stamps = [RECORDINGS[1].radar_ns[i] for i in (0, 4)]
    assert data.stamps_ns[2:4].tolist() == stamps
    assert data.inputs.shape == (6, 2, 128, 128)
    teacher, picture = open_teacher("edge", RANDOM), RECORDINGS[1].read_camera(4)
    key = teacher.encode(picture.codec, picture.image, picture.shape).half()
    assert torch.equal(data.keys[3], key)
    assert found.teacher_sha256 == encoding.teacher_sha256


def test_problems_are_named_also_by_a_run_that_was_resumed(
    encoding: Encoding, folder: Path
) -> None:
    """Sequence, frame and reason; nothing is encoded a second time for it."""
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    told = list[float]()
    found = run(encoding, folder, told)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert found.problems == [
        "b frame 2: bad_npy: 000002_0000.npy: cut",
        "d frame 0: bad_npy: 000000_0000.npy: cut",
    ]
    assert told == [sum(r.frames for r in RECORDINGS) / 2]


def test_what_is_missing_or_torn_is_made_again_the_same(encoding: Encoding, folder: Path) -> None:
    """One file lost, one cut; the others are not touched."""
    before = load(run(encoding, folder).paths)
    untouched = samples_path(folder, 3).stat().st_mtime_ns
    samples_path(folder, 0).unlink()
    torn = samples_path(folder, 1)
    torn.write_bytes(torn.read_bytes()[:-1])
    assert equal(load(run(encoding, folder).paths), before)
    assert samples_path(folder, 3).stat().st_mtime_ns == untouched


def test_a_teacher_that_changed_is_an_error(encoding: Encoding, folder: Path) -> None:
    """Both digests are named."""
    with pytest.raises(RvsenseError, match=f"0badc0de before .* {encoding.teacher_sha256} after"):
        run(replace(encoding, teacher_sha256="0badc0de"), folder)


def test_any_change_of_the_data_is_another_fingerprint() -> None:
    """Names, sites, annotations, stamps, images: nothing goes by the name alone."""
    same = [replace(r) for r in RECORDINGS]
    assert fingerprint(same) == fingerprint(RECORDINGS)
    changes = (
        {"name": "e"}, {"site": "south"}, {"annotated": False}, {"frames": 6},
        {"brightness": 90}, {"bad": (0,)},
    )  # fmt: skip
    prints = {fingerprint([replace(RECORDINGS[0], **change), *same[1:]]) for change in changes}
    assert len(prints | {fingerprint(same)}) == len(changes) + 1
    assert fingerprint(same[::-1]) != fingerprint(same)
