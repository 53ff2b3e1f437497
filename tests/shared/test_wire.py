"""Frame messages: their exact bytes, what is taken, what is refused and with which reason."""

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from rvsense import wire
from rvsense.errors import FrameError
from rvsense.frames import (
    CLASSES,
    AnyFrame,
    CameraFrame,
    LabelFrame,
    RadarFrame,
    SceneObject,
    scene_class,
)

Header = Callable[..., bytes]
ONE_CHIRP = bytes(128 * 128 * 2 * 4)
JPEG = b"\xff\xd8 not much of a picture \xff\xd9"
COMMON: dict[str, Any] = {
    "site": "east",
    "seq": 3,
    "stamp_ns": 1_000_000_007,
    "epoch": 1,
    "source": {"frame": 12},
}
# v 1, kind …, site "east", seq 3, stamp_ns 1000000007, epoch 1, source {"frame": 12}
OPENING = "a176 01 a46b696e64 {kind} a473697465 a465617374 a373657103"
OPENING += " a87374616d705f6e73 ce3b9aca07 a565706f636801 a6736f75726365 81a56672616d650c"
GOLDEN = {
    "radar": "89"
    + OPENING.format(kind="a57261646172")
    # shape [1, 128, 128, 2], dtype "<f4"
    + "a57368617065 9401cc80cc8002 a56474797065 a33c6634",
    "jpeg": "88"
    + OPENING.format(kind="a663616d657261")
    # codec "jpeg"
    + "a5636f646563 a46a706567",
    "rgb8": "89"
    + OPENING.format(kind="a663616d657261")
    # codec "rgb8", shape [1, 2, 3]
    + "a5636f646563 a472676238 a57368617065 93010203",
    "label": "89"
    + OPENING.format(kind="a56c6162656c")
    # objects [{"class": "car", "range_m": 10.5, "azimuth_rad": -0.25}], purpose "score"
    + "a76f626a65637473 91 83 a5636c617373 a3636172 a772616e67655f6d cb4025000000000000"
    + "ab617a696d7574685f726164 cbbfd0000000000000 a7707572706f7365 a573636f7265",
}


def golden_frames() -> dict[str, tuple[AnyFrame, bytes | None]]:
    """The frame and the payload of each message in GOLDEN."""
    heatmap = np.arange(128 * 128 * 2, dtype=np.float32).reshape(1, 128, 128, 2)
    objects = (SceneObject("car", 10.5, -0.25),)
    pixels = bytes(range(6))
    return {
        "radar": (RadarFrame(**COMMON, heatmap=heatmap), heatmap.astype("<f4").tobytes()),
        "jpeg": (CameraFrame(**COMMON, codec="jpeg", image=JPEG), JPEG),
        "rgb8": (CameraFrame(**COMMON, codec="rgb8", image=pixels, shape=(1, 2, 3)), pixels),
        "label": (LabelFrame(**COMMON, objects=objects, purpose="score"), None),
    }


def same(a: AnyFrame, b: AnyFrame) -> bool:
    """Equality that looks into heatmaps."""
    for name in a.__dataclass_fields__:
        left, right = getattr(a, name), getattr(b, name)
        if name == "heatmap":
            if left.dtype != right.dtype or not np.array_equal(left, right):
                return False
        elif left != right:
            return False
    return type(a) is type(b)


def reason_of(*parts: bytes, **limits: Any) -> str:
    """The reason that a message is refused for."""
    with pytest.raises(FrameError) as refused:
        wire.decode(parts, **limits)
    assert refused.value.reason in wire.REASONS
    assert str(refused.value).isprintable()
    return refused.value.reason


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name: str) -> None:
    """The bytes of every kind of message are fixed, in both directions."""
    frame, payload = golden_frames()[name]
    wanted = [bytes.fromhex(GOLDEN[name])] + ([] if payload is None else [payload])
    assert [bytes(part) for part in wire.encode(frame)] == wanted
    assert same(wire.decode(wanted), frame)


def nested(depth: int) -> Any:
    """A list in a list in a list …"""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD_HEADERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "no version": ("bad_version", "radar", {"v": ...}),
    "version 2": ("bad_version", "radar", {"v": 2}),
    "version true": ("bad_version", "radar", {"v": True}),
    "version 1.0": ("bad_version", "radar", {"v": 1.0}),
    "no kind": ("bad_kind", "radar", {"kind": ...}),
    "lidar": ("bad_kind", "lidar", {}),
    "version nested deep": ("bad_version", "radar", {"v": nested(300)}),
    "site nested deep": ("bad_field", "radar", {"site": nested(300)}),
    "kind a list": ("bad_kind", "radar", {"kind": ["radar"]}),
    "no site": ("bad_field", "radar", {"site": ...}),
    "empty site": ("bad_field", "radar", {"site": ""}),
    "long site": ("bad_field", "radar", {"site": "x" * 65}),
    "site with a slash": ("bad_field", "radar", {"site": "a/b"}),
    "site with a newline": ("bad_field", "radar", {"site": "east\n"}),
    "site in bytes": ("bad_field", "radar", {"site": b"east"}),
    "seq below 0": ("bad_field", "radar", {"seq": -1}),
    "seq a float": ("bad_field", "radar", {"seq": 1.0}),
    "seq true": ("bad_field", "radar", {"seq": True}),
    "seq of 64 bits": ("bad_field", "radar", {"seq": 2**63}),
    "no stamp": ("bad_field", "radar", {"stamp_ns": ...}),
    "stamp a text": ("bad_field", "radar", {"stamp_ns": "2"}),
    "no epoch": ("bad_field", "radar", {"epoch": ...}),
    "source a list": ("bad_field", "radar", {"source": [1]}),
    "source nested": ("bad_field", "radar", {"source": {"a": {"b": 1}}}),
    "source with a byte key": ("bad_field", "radar", {"source": {b"a": 1}}),
    "source with bytes": ("bad_field", "radar", {"source": {"a": b"1"}}),
    "source with NaN": ("not_finite", "radar", {"source": {"a": float("nan")}}),
    "no dtype": ("bad_shape", "radar", {"dtype": ...}),
    "big-endian": ("bad_shape", "radar", {"dtype": ">f4"}),
    "dtype object": ("bad_shape", "radar", {"dtype": "|O"}),
    "shape of 3": ("bad_shape", "radar", {"shape": [128, 128, 2]}),
    "no chirps": ("bad_shape", "radar", {"shape": [0, 128, 128, 2]}),
    "17 chirps": ("bad_shape", "radar", {"shape": [17, 128, 128, 2]}),
    "negative": ("bad_shape", "radar", {"shape": [-1, 128, 128, 2]}),
    "shape of floats": ("bad_shape", "radar", {"shape": [1.0, 128, 128, 2]}),
    "shape a text": ("bad_shape", "radar", {"shape": "1,128,128,2"}),
    "64 columns": ("bad_shape", "radar", {"shape": [1, 128, 64, 2]}),
    "two chirps said": ("bad_size", "radar", {"shape": [2, 128, 128, 2]}),
    "float16 said": ("bad_size", "radar", {"dtype": "<f2"}),
    "no codec": ("bad_shape", "camera", {"codec": ...}),
    "png": ("bad_shape", "camera", {"codec": "png"}),
    "jpeg that is none": ("bad_shape", "camera", {}),
    "rgb8 without shape": ("bad_shape", "camera", {"codec": "rgb8"}),
    "rgba": ("bad_shape", "camera", {"codec": "rgb8", "shape": [8, 8, 4]}),
    "rgb8 too small": ("bad_size", "camera", {"codec": "rgb8", "shape": [8, 8, 3]}),
    "rgb8 of 4 gigapixels": ("too_large", "camera", {"codec": "rgb8", "shape": [65536, 65536, 3]}),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_headers_out_of_form_are_refused(case: str, header: Header) -> None:
    """Each field that is missing, mistyped or out of range has its reason."""
    reason, kind, changes = BAD_HEADERS[case]
    assert reason_of(header(kind, **changes), ONE_CHIRP) == reason


BAD_LABELS: dict[str, tuple[str, dict[str, Any]]] = {
    "no objects": ("bad_field", {"objects": ...}),
    "objects a map": ("bad_field", {"objects": {}}),
    "an object a text": ("bad_field", {"objects": ["car"]}),
    "class empty": ("bad_field", {"objects": [{"class": "empty", "range_m": 1, "azimuth_rad": 0}]}),
    "class a list": ("bad_field", {"objects": [{"class": [], "range_m": 1, "azimuth_rad": 0}]}),
    "no range": ("bad_field", {"objects": [{"class": "car", "azimuth_rad": 0}]}),
    "range true": ("bad_field", {"objects": [{"class": "car", "range_m": True, "azimuth_rad": 0}]}),
    "infinite range": (
        "not_finite",
        {"objects": [{"class": "car", "range_m": float("inf"), "azimuth_rad": 0}]},
    ),
    "purpose": ("bad_field", {"purpose": "encode"}),
    "65 objects": (
        "bad_header",
        {"objects": [{"class": "car", "range_m": 1, "azimuth_rad": 0}] * 65},
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_out_of_form_are_refused(case: str, header: Header) -> None:
    """A label with an impossible object or purpose is refused for what is wrong with it."""
    reason, changes = BAD_LABELS[case]
    assert reason_of(header("label", **changes)) == reason


NO_MAPS: dict[str, bytes] = {
    "nothing": b"",
    "a list": msgpack.packb([1, 2]),
    "a number": b"\x01",
    "not msgpack": b"\xc1",
    "cut short": msgpack.packb({"v": 1})[:-1],
    "more behind it": msgpack.packb({"v": 1}) + b"\x01",
    "whole-number keys": msgpack.packb({1: 1}),
    "byte keys": msgpack.packb({b"v": 1}),
    "keys that are maps": b"\x81\x81\x01\x01\x01",
    "not UTF-8": b"\x81\xa1\xff\x01",
    "an extension": msgpack.packb({"v": msgpack.ExtType(5, b"x")}),
    "a timestamp": msgpack.packb({"v": msgpack.Timestamp(1)}),
    "nested 2000 deep": b"\x81\xa1v" + b"\x91" * 2000 + b"\x01",
    "a map of 65": msgpack.packb({str(i): 1 for i in range(65)}),
    "a list that claims 2 GiB": b"\x81\xa1v\xdd\x7f\xff\xff\xff",
    "a text that claims 2 GiB": b"\x81\xa1v\xdb\x7f\xff\xff\xff",
    "4097 bytes": msgpack.packb({"v": "x" * 4091}),
}


@pytest.mark.parametrize("case", NO_MAPS)
def test_what_is_no_map_is_a_bad_header(case: str) -> None:
    """Whatever msgpack or not-msgpack comes first, it costs one message and no more."""
    assert reason_of(NO_MAPS[case], ONE_CHIRP) == "bad_header"


def test_the_number_of_parts_is_checked(header: Header) -> None:
    """Radar and camera have one payload, a label none, and nothing has three parts."""
    assert reason_of() == "bad_parts"
    assert reason_of(header("radar")) == "bad_parts"
    assert reason_of(header("camera")) == "bad_parts"
    assert reason_of(header("label"), b"") == "bad_parts"
    assert reason_of(header("radar"), ONE_CHIRP, b"") == "bad_parts"


def test_payloads_of_a_wrong_size_are_refused(header: Header) -> None:
    """A byte too few or too many, or none, does not fit the shape."""
    for payload in (ONE_CHIRP[:-1], ONE_CHIRP + b"\0", b""):
        assert reason_of(header("radar"), payload) == "bad_size"
    assert reason_of(header("camera"), JPEG * 100, max_image_bytes=2000) == "too_large"
    assert reason_of(header("camera"), b"") == "bad_shape"


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]])
def test_payloads_that_are_not_finite_are_refused(
    dtype: str, bad: list[float], header: Header
) -> None:
    """NaN and infinities are found wherever they stand, also where they cancel out in a sum."""
    values = np.zeros(128 * 128 * 2, dtype)
    values[5 : 5 + len(bad)] = bad
    assert reason_of(header("radar", dtype=dtype), values.tobytes()) == "not_finite"


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_large_finite_payloads_are_taken(dtype: str, header: Header) -> None:
    """A frame full of the largest number is finite, though its sum overflows its own type."""
    values = np.full((1, 128, 128, 2), np.finfo(dtype).max, dtype)
    frame = wire.decode([header("radar", dtype=dtype), values.tobytes()])
    assert isinstance(frame, RadarFrame)
    assert np.array_equal(frame.heatmap, values)


def test_unknown_keys_are_ignored(header: Header) -> None:
    """A newer sender may say more than we know."""
    told = wire.decode([header("label", colour="red", nested={"a": [1, 2]}, raw=b"\0")])
    assert same(told, wire.decode([header("label")]))


def test_a_message_by_a_socket_is_not_copied(header: Header) -> None:
    """The heatmap of a message received with copy=False is a read-only view of its buffer."""
    context = zmq.Context()
    try:
        pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        push.connect(f"tcp://127.0.0.1:{port}")
        values = np.random.default_rng(0).standard_normal((4, 128, 128, 2)).astype("<f4")
        push.send_multipart([header("radar", shape=[4, 128, 128, 2]), values.data.cast("B")])
        parts = pull.recv_multipart(copy=False)
        frame = wire.decode([part.buffer for part in parts])
        assert isinstance(frame, RadarFrame)
        assert not frame.heatmap.flags.writeable
        assert np.shares_memory(frame.heatmap, np.frombuffer(parts[1].buffer, np.uint8))
        del parts  # the array alone must keep the buffer alive
        pull.close(linger=0)
        assert np.array_equal(frame.heatmap, values)
    finally:
        context.destroy(linger=0)


def test_the_class_of_a_scene() -> None:
    """No objects are an empty scene, one class names it, several make it none of the four."""
    car, walker = SceneObject("car", 5.0, 0.0), SceneObject("pedestrian", 5.0, 0.1)
    assert scene_class([]) == "empty"
    assert scene_class([car, car]) == "car"
    assert scene_class([car, walker]) is None
    assert CLASSES == ("empty", "pedestrian", "cyclist", "car")
