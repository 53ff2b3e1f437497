"""NanoDet-g and what it takes to read a scene off its outputs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rvsense.errors import ConfigError
from rvsense.learner.detector.boxes import Boxes, decode, shared, suppress
from rvsense.learner.detector.detectors import (
    NanoDetector,
    Timed,
    TorchvisionDetector,
    build_detector,
)
from rvsense.learner.detector.network import CLASSES, OUTPUTS, REG_MAX, STRIDES, NanoDet
from rvsense.learner.detector.scene import KINDS, Thresholds, read_scene
from rvsense.learner.images import letterbox
from rvsense.machine import detector_file
from rvsense.replay.simulate.plan import SequencePlan
from rvsense.replay.simulate.scene import Scene as DrawnScene

CPU = torch.device("cpu")
LIMITS = Thresholds(sure=0.5, doubt=0.25, least_height=0.05)


@pytest.fixture(scope="module")
def nanodet() -> NanoDetector:
    """The bundled detector."""
    torch.set_num_threads(1)
    detector = build_detector("nanodet", CPU)
    assert isinstance(detector, NanoDetector)
    return detector


def test_the_network_has_the_file_s_convolutions(nanodet: NanoDetector) -> None:
    """34 convolutions, an output for each class and each bin of each side, at three strides."""
    assert sum(p.ndim == 4 for p in NanoDet().state_dict().values()) == 34
    levels = nanodet.forward(torch.zeros(1, 3, 96, 64))
    assert [tuple(level.shape) for level in levels] == [
        (1, OUTPUTS, 96 // stride, 64 // stride) for stride in STRIDES
    ]


def test_the_network_computes_what_it_did(nanodet: NanoDetector) -> None:
    """Outputs for a fixed input, pinned: weights, order and graph are all in these numbers."""
    generator = torch.Generator().manual_seed(5)
    levels = nanodet.forward(torch.rand(1, 3, 96, 64, generator=generator) * 2 - 1)
    pinned = (
        (-4.131, -4.6779, -4.9838, 3.0657, -1.3197, -1.0725),
        (-4.4652, -4.9599, -5.0559, 0.2481, -0.8911, -0.7093),
        (-4.4714, -4.8131, -4.6839, 0.0355, -1.3283, -1.2143),
    )
    for level, values in zip(levels, pinned, strict=True):
        found = level[0, [0, 2, 79, 80, 100, 123], 0, 0].tolist()
        assert found == pytest.approx(values, abs=2e-3)


@pytest.mark.parametrize(
    ("content", "index"), [("pedestrian", 502), ("cyclist", 503), ("car", 501)]
)
def test_drawn_objects_are_found(nanodet: NanoDetector, content: str, index: int) -> None:
    """The simulator's camera draws well enough for a detector that has only seen photographs."""
    drawn = DrawnScene(SequencePlan(index, 0, content, "train", "X"), seed=7, frames=1)
    image = torch.from_numpy(np.array(next(iter(drawn.pictures())))).permute(2, 0, 1)
    assert content in read_scene(nanodet.detect(image), image.shape[1], LIMITS).seen


def level(
    stride_index: int, class_number: int, bins: tuple[int, int, int, int]
) -> list[torch.Tensor]:
    """Outputs with one object: all of each side's weight in one bin, in cell (row 2, column 3)."""
    levels = [torch.full((OUTPUTS, 16 // 2**i, 16 // 2**i), -20.0) for i in range(3)]
    levels[stride_index][class_number, 2, 3] = math.log(4)  # sigmoid .8
    for side, position in enumerate(bins):
        levels[stride_index][CLASSES + side * (REG_MAX + 1) + position, 2, 3] = 20.0
    return levels


@pytest.mark.parametrize("index", range(3))
def test_a_box_is_its_expected_distances_from_the_cell_s_centre(index: int) -> None:
    """Closed form: centre (3.5, 2.5) strides; left, top, right, bottom in strides."""
    stride = STRIDES[index]
    boxes = decode(level(index, 2, (1, 2, 3, 4)), (0, 1, 2), 0.05)
    assert boxes.kinds.tolist() == [2]
    assert boxes.scores.tolist() == pytest.approx([0.8])
    expected = [stride * v for v in (3.5 - 1, 2.5 - 2, 3.5 + 3, 2.5 + 4)]
    assert boxes.corners[0].tolist() == pytest.approx(expected)


def test_a_side_between_two_bins_lies_between() -> None:
    """Half the weight in bin 1 and half in bin 3: two strides."""
    levels = level(0, 0, (0, 0, 0, 0))
    levels[0][CLASSES : CLASSES + REG_MAX + 1, 2, 3] = -20.0
    levels[0][[CLASSES + 1, CLASSES + 3], 2, 3] = 20.0
    left = decode(levels, (0,), 0.05).corners[0, 0]
    assert float(left) == pytest.approx(8 * (3.5 - 2))


def test_classes_that_nobody_asks_for_are_not_decoded() -> None:
    """A dog is no road user."""
    assert len(decode(level(0, 16, (1, 1, 1, 1)), (0, 1, 2, 3, 5, 7), 0.05)) == 0


def boxes(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Boxes:
    """Boxes from (kind, score, corners)."""
    corners = torch.tensor([row[2] for row in rows]).reshape(-1, 4).float()
    kinds = torch.tensor([KINDS.index(row[0]) for row in rows]).long()
    return Boxes(corners, torch.tensor([row[1] for row in rows]).float(), kinds)


def test_suppression_is_by_kind_and_keeps_the_best() -> None:
    """Of two people in one place the better stays; a car in that place is another object."""
    place, near = (10.0, 10.0, 50.0, 90.0), (12.0, 10.0, 52.0, 90.0)
    kept = suppress(boxes(("person", 0.6, near), ("person", 0.9, place), ("car", 0.5, place)))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.5])
    assert kept.kinds.tolist() == [0, 2]


def test_shared_is_a_share_of_the_smaller_box() -> None:
    """A box within another shares all of itself; boxes apart share nothing."""
    first = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    second = torch.tensor([[2.0, 2.0, 4.0, 4.0], [5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 5.0]])
    assert shared(first, second)[0].tolist() == pytest.approx([1.0, 0.5, 0.0])


WALKER, RIDER = (100.0, 100.0, 150.0, 300.0), (400.0, 100.0, 460.0, 260.0)
BIKE, VAN = (380.0, 180.0, 490.0, 300.0), (600.0, 200.0, 800.0, 320.0)


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        ((), "empty"),
        ((("person", 0.8, WALKER),), "pedestrian"),
        ((("person", 0.8, RIDER), ("bicycle", 0.7, BIKE)), "cyclist"),
        ((("car", 0.8, VAN),), "car"),
        ((("truck", 0.8, VAN), ("car", 0.3, VAN)), "car"),
        ((("bus", 0.5, VAN),), "car"),
        # nothing that is uncertain is a label
        ((("person", 0.4, WALKER),), None),
        ((("person", 0.8, RIDER), ("bicycle", 0.3, BIKE)), None),
        ((("person", 0.3, RIDER), ("bicycle", 0.8, BIKE)), None),
        ((("bicycle", 0.8, BIKE),), None),
        ((("motorcycle", 0.8, BIKE),), None),
        ((("person", 0.8, WALKER), ("car", 0.8, VAN)), None),
        ((("person", 0.8, WALKER), ("person", 0.8, RIDER), ("bicycle", 0.7, BIKE)), None),
        ((("car", 0.8, VAN), ("person", 0.3, (650.0, 210.0, 680.0, 310.0))), None),
        # too small, or too unlikely, to be there at all
        ((("person", 0.9, (10.0, 10.0, 20.0, 45.0)),), "empty"),
        ((("person", 0.2, WALKER),), "empty"),
        ((("person", 0.8, WALKER), ("car", 0.9, (600.0, 200.0, 650.0, 230.0))), "pedestrian"),
    ],
)
def test_scene_rule(
    rows: tuple[tuple[str, float, tuple[float, float, float, float]], ...], label: str | None
) -> None:
    """What boxes in an image 800 high make of a scene."""
    assert read_scene(boxes(*rows), 800, LIMITS).label == label


def test_several_classes_are_seen_but_give_no_label() -> None:
    """The filter knows all that is there."""
    rows = (("person", 0.8, WALKER), ("person", 0.8, RIDER), ("bicycle", 0.7, BIKE))
    scene = read_scene(boxes(*rows, ("car", 0.8, VAN)), 800, LIMITS)
    assert scene.seen == {"pedestrian", "cyclist", "car"}
    assert not scene.doubtful


@pytest.mark.parametrize(("height", "width"), [(864, 1440), (576, 768), (480, 640), (900, 300)])
def test_the_aspect_ratio_is_kept(height: int, width: int) -> None:
    """The longer side becomes 640, the rest is filled with black up to a multiple of 32."""
    image, scale = letterbox(torch.full((3, height, width), 200, dtype=torch.uint8), 640, 32)
    rows, columns = round(height * scale), round(width * scale)
    assert max(rows, columns) == 640
    assert (image.shape[1] % 32, image.shape[2] % 32) == (0, 0)
    assert image[:, :rows, :columns].eq(200).all()
    assert image.sum() == 200 * 3 * rows * columns


def test_a_look_is_timed() -> None:
    """By the clock that is given; what is found passes through."""

    class Stub:
        name = "stub"

        def detect(self, image: torch.Tensor) -> Boxes:
            return boxes(("car", 0.9, VAN))

    ticks = iter((1.0, 1.25))
    timed = Timed(Stub(), lambda: next(ticks))
    assert len(timed.detect(torch.zeros(3, 8, 8))) == 1
    assert timed.ms == 250.0


def test_unknown_detectors_are_named_with_those_there_are() -> None:
    """The bundled one and torchvision's."""
    with pytest.raises(ConfigError, match=r"'yolo'; allowed: nanodet, .*ssdlite320_mobilenet_v3"):
        detector_file("yolo")


def test_missing_detector_weights_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched: the error names the file, the command and the one without need."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        build_detector("ssdlite320_mobilenet_v3_large", CPU)
    for word in (str(tmp_path), "get_model('ssdlite320_mobilenet_v3_large'", "or use nanodet"):
        assert word in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Strictly: no tensor may be missing."""
    path = tmp_path / "w.pth"
    torch.save({"c.0.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(ConfigError, match=r"detector weights .*w\.pth do not fit"):
        NanoDetector(path, CPU)


def test_a_detector_of_torchvision_looks_too(tmp_path: Path) -> None:
    """Its own classes become our kinds; one that knows no bicycle is refused."""
    from torchvision.models import get_model

    name, path = "ssdlite320_mobilenet_v3_large", tmp_path / "w.pth"
    network = get_model(name, weights=None, weights_backbone=None, num_classes=91)
    torch.save(network.state_dict(), path)
    detector = TorchvisionDetector(name, path, CPU)
    found = {
        "boxes": torch.tensor([[1.0, 2.0, 3.0, 4.0]]).repeat(3, 1),
        "labels": torch.tensor([1, 8, 18]),  # person, truck, dog
        "scores": torch.tensor([0.9, 0.8, 0.7]),
    }
    detector._network = lambda images: [found]
    assert detector.detect(torch.zeros(3, 8, 8)).kinds.tolist() == [0, 5]
    with pytest.raises(ConfigError, match="knows no bicycle"):
        TorchvisionDetector("keypointrcnn_resnet50_fpn", path, CPU)
