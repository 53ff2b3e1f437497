"""What the light detector costs and what it says, on a video or on a dataset's camera.

    python -m bench.detector VIDEO_OR_DATASET [--every 10] [--draw OUT.png] [--name NAME]

One JSON line: ms an image on one thread (decoding the JPEG, scaling, network, boxes), boxes an
image, and scene classes. For the bundled detector in fp32 and bf16, with the share of images to
which both give the same scene; on a dataset also its agreement with the annotations. A video
(`pip install av`) has no JPEGs: its frames are encoded first.
"""

import argparse
import io
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from rvsense.config import Learning
from rvsense.errors import UsageError
from rvsense.frames import SceneClass, scene_class
from rvsense.learner.detector.boxes import Boxes
from rvsense.learner.detector.detectors import Detector, NanoDetector, build_detector
from rvsense.learner.detector.scene import KINDS, Scene, Thresholds, read_scene
from rvsense.learner.detector.standing import Standing
from rvsense.learner.images import decode_image
from rvsense.machine import NANODET, detector_file
from rvsense.replay.layouts import open_dataset

T = TypeVar("T")
Picture = tuple[str, bytes, SceneClass | None]
"""Site, JPEG and the class of the annotation."""
CPU = torch.device("cpu")
DRAWN = 4


@dataclass
class Account:
    """What one detector did: ms by part, and its readings in order."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    boxes: list[int] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    standing: Standing = field(default_factory=lambda: Standing(0, 0.0))

    def timed(self, part: str, work: Callable[[], T]) -> T:
        """The result of `work`, its CPU time booked to `part`."""
        start = time.process_time()
        result = work()
        self.ms.setdefault(part, []).append(1000 * (time.process_time() - start))
        return result

    def report(self) -> dict[str, Any]:
        """Medians and counts."""
        labels = Counter(scene.label or "no label" for scene in self.scenes)
        return {
            "ms": {part: round(statistics.median(values), 1) for part, values in self.ms.items()},
            "boxes": round(statistics.mean(self.boxes), 2),
            "scenes": dict(labels.most_common()),
        }


def pictures(source: Path, every: int) -> Iterator[Picture]:
    """Every n-th picture of a dataset or a video, in order."""
    if source.is_dir():
        for sequence in open_dataset(str(source)).sequences:
            for frame_id in list(sequence.camera_ns)[::every]:
                objects = sequence.objects(frame_id)
                truth = None if objects is None else scene_class(tuple(objects))
                yield sequence.site, sequence.read_camera(frame_id).image, truth
        return
    try:
        import av
    except ImportError:
        raise UsageError("reading a video needs PyAV: pip install av") from None
    with av.open(str(source)) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number % every == 0:
                out = io.BytesIO()
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(out, "jpeg", quality=90)
                yield source.name, out.getvalue(), None


def look(detector: Detector, site: str, jpeg: bytes, account: Account, limits: Thresholds) -> Boxes:
    """Everything that one look takes, part by part where the parts are ours."""
    image = account.timed("decode jpeg", lambda: decode_image("jpeg", jpeg, None))
    if isinstance(detector, NanoDetector):
        with torch.inference_mode():
            x, scale = account.timed("scale", lambda: detector.prepare(image))
            levels = account.timed("network", lambda: detector.forward(x))
            found = account.timed("boxes", lambda: detector.boxes(levels))
            found = Boxes(found.corners / scale, found.scores, found.kinds)
    else:
        found = account.timed("detector", lambda: detector.detect(image))
    account.boxes.append(int((found.scores >= limits.sure).sum()))
    found = account.timed("standing", lambda: account.standing.without(site, found))
    account.scenes.append(account.timed("scene", lambda: read_scene(found, image.shape[1], limits)))
    return found


def draw(image: Tensor, boxes: Boxes, scene: Scene, limits: Thresholds) -> Image.Image:
    """The image with sure boxes in green, perhaps ones in yellow, and the reading."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    pen = ImageDraw.Draw(picture)
    rows = zip(boxes.corners.tolist(), boxes.scores.tolist(), boxes.kinds.tolist(), strict=True)
    for corners, score, kind in rows:
        if score >= limits.doubt:
            colour = "lime" if score >= limits.sure else "yellow"
            pen.rectangle(corners, outline=colour, width=2)
            pen.text((corners[0] + 3, corners[1] + 2), f"{KINDS[kind]} {score:.2f}", fill=colour)
    seen = "+".join(sorted(scene.seen)) or "nothing"
    pen.text((8, 8), f"{seen}{', doubtful' if scene.doubtful else ''}", fill="red")
    return picture


def sheet(drawn: list[Image.Image]) -> Image.Image:
    """Pictures side by side, two in a row."""
    width, height = drawn[0].size
    out = Image.new("RGB", (2 * width, height * ((len(drawn) + 1) // 2)))
    for i, picture in enumerate(drawn):
        out.paste(picture, (width * (i % 2), height * (i // 2)))
    return out


def agreement(scenes: list[Scene], truths: list[SceneClass | None]) -> dict[str, Any]:
    """Of images with an annotated class: how many get a label, and how many of those rightly."""
    pairs = [(s.label, t) for s, t in zip(scenes, truths, strict=True) if t is not None]
    labelled = [(guess, truth) for guess, truth in pairs if guess is not None]
    right = sum(guess == truth for guess, truth in labelled)
    table = Counter(f"{truth} as {guess or 'no label'}" for guess, truth in pairs)
    return {
        "annotated": len(pairs),
        "labelled_share": round(len(labelled) / max(len(pairs), 1), 3),
        "right_share_of_labelled": round(right / max(len(labelled), 1), 3),
        "confusion": dict(sorted(table.items())),
    }


def main() -> None:
    """Look at every n-th picture with every detector asked for; print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--every", type=int, default=10, help="take every n-th picture")
    parser.add_argument("--name", default=NANODET, help="nanodet or a detector of torchvision")
    parser.add_argument(
        "--standing", type=int, default=0, help="looks after which a box is background; 0 = never"
    )
    parser.add_argument("--draw", type=Path, help="PNG of a few pictures with their boxes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = Learning()
    limits = Thresholds(
        settings.detector_sure, settings.detector_doubt, settings.detector_least_height
    )
    detectors: dict[str, Detector] = {"fp32": build_detector(options.name, CPU)}
    if options.name == NANODET:
        detectors["bf16"] = NanoDetector(detector_file(NANODET), CPU, torch.bfloat16)
    accounts = {
        name: Account(standing=Standing(options.standing, limits.sure)) for name in detectors
    }
    truths, drawn = [], []
    taken = list(pictures(options.source, options.every))
    if not taken:
        raise UsageError(f"{options.source}: no pictures")
    for number, (site, jpeg, truth) in enumerate(taken):
        truths.append(truth)
        found = {name: look(d, site, jpeg, accounts[name], limits) for name, d in detectors.items()}
        if options.draw and number % -(-len(taken) // DRAWN) == 0:
            scene = accounts["fp32"].scenes[-1]
            drawn.append(draw(decode_image("jpeg", jpeg, None), found["fp32"], scene, limits))
    if drawn:
        sheet(drawn).save(options.draw)
    report: dict[str, Any] = {"pictures": len(taken), "detector": options.name}
    report |= {name: account.report() for name, account in accounts.items()}
    if "bf16" in accounts:
        same = zip(accounts["fp32"].scenes, accounts["bf16"].scenes, strict=True)
        report["same_scene_in_bf16"] = round(statistics.mean(a == b for a, b in same), 3)
    if any(truth is not None for truth in truths):
        report["agreement"] = agreement(accounts["fp32"].scenes, truths)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
