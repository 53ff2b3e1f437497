"""Teachers: weights, freezing, decoding within limits, and clear words when something lacks."""

import struct
from pathlib import Path

import pytest
import torch

from rvsense.errors import ConfigError, FrameError
from rvsense.learner import images
from rvsense.learner.teacher import VggSlice, edge_teacher, paper_teacher
from rvsense.machine import pick_device
from tests.fuzz.golden import jpeg

CPU = torch.device("cpu")


def test_edge_teacher_loads_imagenet_weights() -> None:
    """The packaged weights fit strictly, are frozen, and give the key pinned here.

    The digest guards the file; the loading guards the definition.
    """
    teacher = edge_teacher("", CPU)
    assert teacher.key_dim == 1280
    assert teacher.sha256().startswith("14b47de7fc5c4d88")
    assert not any(p.requires_grad for p in teacher.network.parameters())
    assert not any(module.training for module in teacher.network.modules())


def test_edge_teacher_knows_what_it_was_trained_on() -> None:
    """A drawn grid of white squares is a crossword puzzle among ImageNet's 1000 classes.

    So the definition computes what the weights were trained for.
    """
    teacher = edge_teacher("", CPU)
    image = torch.full((3, 224, 224), 255, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    for row in range(12):
        for column in range(12):
            y, x = 10 + 17 * row, 10 + 17 * column
            image[:, y : y + 17, x : x + 17] = 0
            if torch.rand((), generator=generator) > 0.25:
                image[:, y + 1 : y + 16, x + 1 : x + 16] = 255
    with torch.inference_mode():
        logits = teacher.network.classify(teacher.preprocess(image[None]))  # type: ignore[operator]
    assert 918 in logits[0].topk(5).indices.tolist()


def test_random_teacher_says_so() -> None:
    """`random` is the same in every run and carries its name."""
    first, second = edge_teacher("random", CPU), edge_teacher("random", CPU)
    assert first.weights == "random"
    assert first.sha256() == second.sha256()


def test_missing_vgg_weights_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched: the error names the file, the command and the preset without need."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        paper_teacher("", CPU)
    for part in (str(tmp_path), "vgg16-", "python -c", "--teacher-weights", "--preset edge"):
        assert part in str(caught.value)
    assert caught.value.status == 78


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_unusable_weights_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing file, rubbish and weights of another network all name the file."""
    path = tmp_path / "weights.pth"
    if content is None:
        torch.save({"layer.weight": torch.zeros(3)}, path)
    elif content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"weights\.pth"):
        edge_teacher(str(path), CPU)


def test_cuda_is_not_replaced_silently() -> None:
    """Asking for CUDA where there is none is an error, not a slow run."""
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ConfigError, match="cuda"):
        pick_device("cuda", "learning.device")


def test_vgg_slice_ends_before_the_second_relu() -> None:
    """`classifier[:4]` is fc6, ReLU, dropout, fc7: 4096 values of both signs, 134 M parameters."""
    with torch.device("meta"):
        network = VggSlice()
    assert [type(m).__name__ for m in network.classifier] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 134.3


def header(height: int, width: int, before: bytes = b"") -> bytes:
    """The beginning of a JPEG with that size in its frame header."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + before + b"\xff\xc0" + frame


def test_size_is_read_before_decoding() -> None:
    """The frame header is found behind other segments, fill bytes and markers without length."""
    segments = b"\xff\xe0\x00\x04ab" + b"\xff\xff\xc4\x00\x03x" + b"\xff\x01"
    assert images.jpeg_size(header(864, 1440, segments)) == (864, 1440)


def test_huge_image_is_refused_unread() -> None:
    """Dimensions over the limit are refused by the header alone; the rest need not exist."""
    with pytest.raises(FrameError, match="60000x60000"):
        images.decode_image("jpeg", header(60_000, 60_000), None)


@pytest.mark.parametrize("length", [0, 2, 200])
def test_a_size_that_hides_from_us_is_refused(length: int) -> None:
    """Decoders take FF 00 between segments for no segment, and find the huge picture behind it."""
    hidden = b"\xff\x00" + length.to_bytes(2, "big") + header(65_500, 65_500)[2:]
    with pytest.raises(FrameError, match="no JPEG frame header"):
        images.decode_image("jpeg", header(48, 64, hidden), None)


def test_scans_without_end_are_refused_undecoded() -> None:
    """Each costs the time of a whole picture; a progressive one of the usual kind is read."""
    usual = jpeg(64, 64, progressive=True)
    scan = usual.rpartition(b"\xff\xda")[2].removesuffix(b"\xff\xd9")
    assert images.decode_image("jpeg", usual, None).shape == (3, 64, 64)
    endless = usual[:-2] + (b"\xff\xda" + scan) * images.MAX_SCANS + b"\xff\xd9"
    with pytest.raises(FrameError, match="scans; at most"):
        images.decode_image("jpeg", endless, None)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", header(0, 10), header(48, 64)]
)
def test_broken_jpeg_is_a_frame_error(data: bytes) -> None:
    """Whatever is wrong with a picture has one reason, which counters are keyed by."""
    with pytest.raises(FrameError) as caught:
        images.decode_image("jpeg", data, None)
    assert caught.value.reason == "bad_image"


def test_rgb8_and_its_shape() -> None:
    """Raw pixels become the 224 square; a payload of another size is refused."""
    small = images.squash(images.decode_image("rgb8", bytes(range(30)) * 100, (20, 50, 3)))
    assert small.shape == (3, 224, 224)
    assert small.dtype == torch.uint8
    with pytest.raises(FrameError, match="bad_image"):
        images.decode_image("rgb8", bytes(10), (20, 50, 3))
