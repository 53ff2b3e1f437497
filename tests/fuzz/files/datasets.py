"""The lab's form of a dataset with one frame of everything, and whatever its text files may say."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

from rvsense import wire
from rvsense.errors import DatasetError, FrameError
from rvsense.replay.ahead import read_ahead
from rvsense.replay.annotations import in_front, read_annotations
from rvsense.replay.layouts import open_dataset
from rvsense.replay.plan import Labels, plan
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind
from tests.fuzz.files.npy import GOOD
from tests.fuzz.mutate import mutated

LINES = (
    *("12 10.5 -0.25 car", "0 5.0 0.1 pedestrian", "3 nan 0 car", "3 1e400 0 car", "-1 1 1 car"),
    *(
        "9" * 5000 + " 1 1 car",
        "1 1 1 tank",
        "1 1",
        "",
        "\x00",
        "1 1 4 car",
        "١ 1 1 car",
        "1_0 1 1 car",
    ),
)
TIMES = (
    *("0.0", "0.033", "1e18", "-1e18", "nan", "inf", "1" * 400, "", "x", "86400", "86401", "0x10"),
)
STARTS = (
    *(
        "2019-04-09 10:00:00.5",
        "2019-04-09 10:00:01.5",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59",
    ),
    *("2019-13-01 00:00:00", "", "now", "2019-04-09", "2019-04-09 10:00:00." + "5" * 400),
)
POINTS = (
    *('{"name":"point","cx":60,"cy":80}', '{"cx":1e400,"cy":0}', '{"cx":"6","cy":[1]}', "null"),
    *(
        "[" * 5000,
        "{",
        '{"cx":NaN,"cy":-Infinity}',
        '{"cx":121,"cy":0}',
        "9" * 5000,
        '"' + "x" * 9000,
    ),
)
CLASSES = ('{"class":"car"}', '{"class":["car"]}', '{"class":"' + "x" * 900 + '"}', "{}", "7")
HEADS = ("filename,region_count,region_shape_attributes,region_attributes", "a,b", "", "filename")


def kinds(work: Path) -> list[Kind]:
    """Annotations by themselves, and a dataset as it is played."""
    return [
        Kind("annotations", _annotation, _annotations(work), 0.1),
        Kind("dataset", _dataset, _played(work / "2019_04_09"), 0.04),
    ]


def _annotation(rng: Random) -> Case:
    how = rng.choice(("txt", "csv"))
    text = _txt(rng) if how == "txt" else _csv(rng)
    if rng.random() < 0.4:
        text = mutated(text, rng)
    return Case(how, [how.encode(), text])


def _annotations(work: Path) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        path = work / f"labels.{case.parts[0].decode()}"
        path.write_bytes(case.parts[1])
        found, problems = read_annotations(path, 100)
        for problem in problems:
            if problem.reason != "bad_annotation" or str(path) not in problem.detail:
                raise BrokenError(f"{problem.reason}: {problem.detail!r:.300}")
        objects = [item for items in found.objects.values() for item in items]
        if not all(in_front(item.range_m, item.azimuth_rad) for item in objects):
            raise BrokenError("an object behind the radar")
        return "some bad lines" if problems else "all good"

    return read


def _txt(rng: Random) -> bytes:
    lines = [rng.choice(LINES) for _ in range(rng.choice((0, 1, 5)))]
    return rng.choice(("\n", "\r\n", "\r")).join(lines).encode()


def _csv(rng: Random) -> bytes:
    rows = [rng.choice(HEADS[:1] + HEADS)]
    for _ in range(rng.choice((0, 1, 3))):
        point, label = rng.choice(POINTS), rng.choice(CLASSES)
        cells = [f"000000_{rng.choice(('000012', 'x', '9' * 5000))}.jpg", rng.choice("012x")]
        cells += ['"' + text.replace('"', '""') + '"' for text in (point, label)]
        rows.append(",".join(cells[: rng.choice((1, 3, 4, 4, 4, 4))]))
    return "\n".join(rows).encode()


def _dataset(rng: Random) -> Case:
    times = "\n".join(rng.choice(TIMES) for _ in range(rng.choice((0, 1, 2))))
    starts = "\n".join(rng.choice(STARTS) for _ in range(rng.choice((0, 1, 2, 2, 2))))
    texts = [times.encode(), starts.encode(), _csv(rng)]
    if rng.random() < 0.3:
        texts = [mutated(text, rng) for text in texts]
    return Case("lab form", [*texts, grammar.text(rng).encode("utf-8", "replace")])


def _played(root: Path) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        shutil.rmtree(root, ignore_errors=True)
        folder = root / "onrd000"
        chirps, images = folder / "RA_NPY" / "0000", folder / "images_0"
        chirps.mkdir(parents=True)
        images.mkdir()
        (chirps / "000000.npy").write_bytes(GOOD + golden.heatmap(1))
        (images / "0000000000.jpg").write_bytes(golden.jpeg())
        names = ("timestamps_0.txt", "start_time_h.txt", "ramap_labels.csv")
        for name, content in zip(names, case.parts[:3], strict=True):
            (folder / name).write_bytes(content)
        odd = case.parts[3].decode().replace("/", "").replace("\0", "")[:60]
        if odd.strip(".") and not (folder / odd).exists():  # a name of its own for each trick
            (images / f"{odd}.jpg").write_bytes(b"")
            (chirps / f"{odd}.npy").mkdir()
        return _play(root)

    return read


def _play(root: Path) -> str:
    try:
        dataset = open_dataset(root)
    except DatasetError:
        return "no dataset"
    kinds = []
    labels = Labels(0.5, score=True, seed=1)
    for item in read_ahead(plan(dataset.sequences, labels), threading.Event()):
        for packed in item.messages:
            try:
                kinds.append(wire.decode(packed.parts).kind)
            except FrameError as error:
                raise BrokenError("the player sends what no daemon takes") from error
    return " ".join(sorted(set(kinds)))
