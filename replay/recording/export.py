"""`rvsense record --export OUT`: a recording as a dataset in ROD2021's layout.

Rules:
- A frame that names its sequence and frame id (`source`) gets its old place back, and its split;
  heatmaps and JPEGs are written to the bit. Where two sites name the same sequence, the second
  gets its site's name behind it.
- Other frames are cut into sequences of 900, 30 s, for each site and epoch, and numbered by their
  stamps on a grid of 30 a second: ROD2021 has no times, frame i is at i/30 s. Of two frames of one
  number the first stays, and the other is counted.
- A label goes to the radar frame that it names, or to the one at its stamp, as in the daemon;
  `annotating` says what is written of it.
- One simulated frame makes the dataset a simulated one.
"""

import json
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from rvsense import wire
from rvsense.errors import FrameError
from rvsense.frames import AnyFrame, CameraFrame, LabelFrame, RadarFrame
from rvsense.labelling.when import NEAR_NS
from rvsense.replay.folders import ROD_IMAGES, ROD_RADAR
from rvsense.replay.layouts import ROD_CHIRPS
from rvsense.replay.partial import whole_dataset
from rvsense.replay.recording.annotating import Objects, can_be_written, cuts, lines, says_all
from rvsense.replay.recording.form import SEQUENCE_NOTE
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.sequence import SIMULATED, Split
from rvsense.replay.stamps import PERIOD_NS

FRAMES_PER_SEQUENCE = 900
LEAD_FRAMES = 30
"""Room before the first frame seen: another stream's may be a little older."""
MOST_CHIRPS = 255
JPEG_QUALITY = 95
MOST_JPEG_SIDE = 65_500

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_HIGHEST_ID = 999_999


@dataclass(slots=True)
class ExportReport:
    """What was written, what was left out by reason, and which sequences had to be renamed."""

    out: Path
    written: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    renamed: list[str] = field(default_factory=list)
    sequences: int = 0

    def as_map(self) -> dict[str, object]:
        """Plain values."""
        return {
            "out": str(self.out),
            "sequences": self.sequences,
            "written": dict(self.written),
            "left_out": dict(self.left_out),
            "renamed": self.renamed,
        }

    def as_text(self) -> str:
        """One line for a person."""
        written = ", ".join(f"{count} {what}" for what, count in self.written.items()) or "nothing"
        text = f"{self.out}: {self.sequences} sequences; {written}"
        text += "".join(f"; {n} left out ({why})" for why, n in self.left_out.items())
        return text + "".join(f"; {name} named so, for two sites have it" for name in self.renamed)


@dataclass(slots=True)
class _Sequence:
    """What is known of a sequence that is being written."""

    name: str
    split: Split
    live: bool
    """It had no name of its own, so it may be cut."""
    radar: set[int] = field(default_factory=set)
    labels: dict[int, Objects] = field(default_factory=dict)


_Key = tuple[str, str, bool]
"""Site, name, and whether the name is ours."""
_Place = tuple[_Key, int]


def export(paths: Iterable[Path], out: Path) -> ExportReport:
    """Write the frames and labels of recordings, in the order given.

    Raises:
        DatasetError: there is no recording at one of `paths`, or it cannot be read.
        UsageError: `out` holds something, or cannot be written to.
        DiskError: the disk is full, or fails; nothing is kept.
    """
    report = ExportReport(out)
    with whole_dataset(out, 0o700) as partial:  # it will hold camera images
        exporter = _Exporter(partial, report)
        for path in paths:
            for file in segments(path):
                exporter.file(file)
        exporter.annotate()
    return report


class _Exporter:
    def __init__(self, out: Path, report: ExportReport) -> None:
        self.report, self._out = report, out
        self._sequences: dict[_Key, _Sequence] = {}
        self._names: set[str] = set()
        self._splits: dict[str, Split] = {}
        self._starts_ns: dict[tuple[str, int], int] = {}
        self._radar: defaultdict[tuple[str, int], list[tuple[int, _Place]]] = defaultdict(list)
        """Of each site and epoch, the stamps and places of its radar frames."""
        self._labels: list[LabelFrame] = []

    def file(self, path: Path) -> None:
        """Write what one file holds."""
        findings = Findings()
        noted = 0
        for message in messages(path, findings):
            for note in findings.notes[noted:]:
                self._note(note.name, note.metadata)
            noted = len(findings.notes)
            if message.kind == "result":
                continue
            try:
                frame = wire.decode(message.parts, max_chirps=MOST_CHIRPS, max_image_bytes=2**31)
                if isinstance(frame, LabelFrame):
                    self._labels.append(frame)  # its frame may be yet to come
                else:
                    self._frame(frame)
            except FrameError as error:
                self.report.left_out[error.reason] += 1
        if findings.damage:
            self.report.left_out["damaged"] += len(findings.damage)

    def annotate(self) -> None:
        """Write the annotations, once all labels are known."""
        self._join_labels()
        for sequence in list(self._sequences.values()):
            for piece in self._pieces(sequence):
                self.report.sequences += 1
                if not piece.labels:
                    continue
                if not says_all(piece.radar, piece.labels):
                    self.report.left_out["labels_of_some_frames"] += len(piece.labels)
                    continue
                path = self._out / "annotations" / piece.split / f"{piece.name}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(lines(piece.labels), encoding="ascii")
                self.report.written["labels"] += len(piece.labels)

    def _note(self, name: str, values: dict[str, str]) -> None:
        if name == SEQUENCE_NOTE:
            self._splits[values.get("sequence", "")] = _split(values)
            if values.get("simulated") == "True":
                self._simulated()

    def _simulated(self) -> None:
        path = self._out / SIMULATED
        if not path.exists():
            note = {"note": "exported from a recording of simulated data"}
            path.write_text(json.dumps(note) + "\n")

    def _frame(self, frame: RadarFrame | CameraFrame) -> None:
        key, number = place = _named(frame) or self._placed(frame)
        sequence = self._sequences.get(key) or self._begin(key, frame)
        folder = self._folder(sequence)
        if frame.source.get("simulated") is True or frame.source.get("radar") == "simulated":
            self._simulated()
        if isinstance(frame, RadarFrame):
            self._radar[frame.site, frame.epoch].append((frame.stamp_ns, place))
            if number in sequence.radar:
                raise FrameError("same_number", f"{sequence.name} has a radar frame {number}")
            sequence.radar.add(number)
            _write_heatmap(folder / ROD_RADAR, number, frame)
            self.report.written["radar"] += 1
        else:
            path = folder / ROD_IMAGES / f"{number:010d}.jpg"
            if path.exists():
                raise FrameError("same_number", f"{path} is there already")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(frame.image if frame.codec == "jpeg" else _jpeg(frame))
            self.report.written["camera"] += 1

    def _begin(self, key: _Key, frame: AnyFrame) -> _Sequence:
        site, name, live = key
        said = "split" in frame.source or name not in self._splits
        split = _split(frame.source) if said else self._splits[name]
        split = "train" if live else split
        sequence = _Sequence(self._free_name(name, site), split, live)
        self._sequences[key] = sequence
        if sequence.name != name:
            self.report.renamed.append(sequence.name)
        return sequence

    def _free_name(self, name: str, suffix: str) -> str:
        while name in self._names:
            name = f"{name}_{suffix}"
        self._names.add(name)
        return name

    def _folder(self, sequence: _Sequence) -> Path:
        return self._out / "sequences" / sequence.split / sequence.name

    def _placed(self, frame: AnyFrame) -> _Place:
        """The place of a frame without a name. Raises FrameError where it has none."""
        start_ns = self._starts_ns.setdefault(
            (frame.site, frame.epoch), frame.stamp_ns - LEAD_FRAMES * PERIOD_NS
        )
        number = round((frame.stamp_ns - start_ns) / PERIOD_NS)
        if number < 0:
            raise FrameError("before_start", "a frame is a second older than the first that came")
        take, number = divmod(number, FRAMES_PER_SEQUENCE)
        return (frame.site, f"{frame.site}_{frame.epoch:04d}_{take:04d}", True), number

    def _join_labels(self) -> None:
        for at in self._radar.values():
            at.sort()
        for label in self._labels:
            place = self._place_of(label)
            if place is None:
                self.report.left_out["label_without_frame"] += 1
            elif not can_be_written(label.objects):
                self.report.left_out["label_out_of_view"] += 1
            else:
                key, number = place
                self._sequences[key].labels.setdefault(number, label.objects)

    def _place_of(self, label: LabelFrame) -> _Place | None:
        """The place of the radar frame that a label speaks of."""
        if named := _named(label):
            key, number = named
            if key in self._sequences and number in self._sequences[key].radar:
                return named
        at = self._radar[label.site, label.epoch]
        after = bisect_right(at, label.stamp_ns, key=lambda item: item[0])
        near = at[max(after - 1, 0) : after + 1]
        if not near:
            return None
        stamp_ns, place = min(near, key=lambda item: abs(item[0] - label.stamp_ns))
        return place if abs(stamp_ns - label.stamp_ns) <= NEAR_NS else None

    def _pieces(self, whole: _Sequence) -> list[_Sequence]:
        """A sequence cut where its labels ask for it; the first piece keeps place and name."""
        starts = cuts(whole.radar, whole.labels) if whole.live else []
        names = [self._free_name(f"{whole.name}_{n:02d}", "cut") for n in range(1, len(starts) + 1)]
        pieces = [_Sequence(name, whole.split, live=True) for name in [whole.name, *names]]
        for number in whole.radar:
            pieces[bisect_right(starts, number)].radar.add(number)
        for number, objects in whole.labels.items():
            pieces[bisect_right(starts, number)].labels[number] = objects
        for path in list(self._folder(whole).glob("*/*")) if starts else []:
            number = int(path.stem.partition("_")[0])
            if piece := bisect_right(starts, number):
                folder = self._folder(pieces[piece]) / path.parent.name
                folder.mkdir(parents=True, exist_ok=True)
                path.rename(folder / path.name)
        return pieces


def _named(frame: AnyFrame) -> _Place | None:
    """The place that a frame names."""
    name, number = frame.source.get("sequence"), frame.source.get("frame_id")
    if not (isinstance(name, str) and _NAME.fullmatch(name) and name.strip(".")):
        return None
    if type(number) is not int or not 0 <= number <= _HIGHEST_ID:
        return None
    return (frame.site, name, False), number


def _split(values: Mapping[str, object]) -> Split:
    return "test" if values.get("split") == "test" else "train"


def _write_heatmap(folder: Path, frame_id: int, frame: RadarFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    count = len(frame.heatmap)
    chirps = ROD_CHIRPS[:count] if count <= len(ROD_CHIRPS) else range(count)
    for chirp, values in zip(chirps, frame.heatmap, strict=True):
        np.save(folder / f"{frame_id:06d}_{chirp:04d}.npy", values.astype(np.float32, copy=False))


def _jpeg(frame: CameraFrame) -> bytes:
    from PIL import Image

    assert frame.shape is not None  # rgb8 has one
    height, width, _ = frame.shape
    if max(height, width) > MOST_JPEG_SIDE:
        raise FrameError("no_jpeg", f"{height}x{width} pixels; a JPEG has {MOST_JPEG_SIDE} a side")
    out = BytesIO()
    Image.frombytes("RGB", (width, height), frame.image).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()
