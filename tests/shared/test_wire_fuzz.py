"""Frame messages under Hypothesis: what goes in comes out, and damage costs one message."""

from typing import Any

import msgpack
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvsense import wire
from rvsense.errors import FrameError
from rvsense.frames import (
    OBJECT_CLASSES,
    AnyFrame,
    CameraFrame,
    LabelFrame,
    RadarFrame,
    SceneObject,
)

JPEG = b"\xff\xd8 not much of a picture \xff\xd9"
ONE_CHIRP = bytes(128 * 128 * 2 * 4)


def headers() -> list[bytes]:
    """A valid header of each kind, to be damaged."""
    common: dict[str, Any] = {"site": "east", "seq": 3, "stamp_ns": 10**9, "source": {"a": 1}}
    chirp = np.zeros((1, 128, 128, 2), np.float32)
    samples: list[AnyFrame] = [
        RadarFrame(**common, heatmap=chirp),
        CameraFrame(**common, codec="jpeg", image=JPEG),
        CameraFrame(**common, codec="rgb8", image=bytes(6), shape=(1, 2, 3)),
        LabelFrame(**common, objects=(SceneObject("car", 10.5, -0.25),)),
    ]
    return [bytes(wire.encode(frame)[0]) for frame in samples]


HEADERS = headers()


def refusal(parts: list[bytes]) -> FrameError | None:
    """Why a message is refused, or None; any other exception comes through."""
    try:
        wire.decode(parts)
    except FrameError as error:
        return error
    return None


texts = st.text(max_size=20)
plain_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
common: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "site": st.from_regex(wire.SITE, fullmatch=True),
        "seq": st.integers(0, wire.INT64_MAX),
        "stamp_ns": st.integers(-wire.INT64_MAX, wire.INT64_MAX),
        "epoch": st.integers(0, wire.INT64_MAX),
        "source": st.dictionaries(texts, plain_values, max_size=4),
    }
)
positions = st.floats(-1e300, 1e300)
scene_objects = st.builds(SceneObject, st.sampled_from(OBJECT_CLASSES), positions, positions)


@st.composite
def frames(draw: st.DrawFn) -> AnyFrame:
    """Any frame that has a place on the wire."""
    values = draw(common)
    kind = draw(st.sampled_from(["radar", "jpeg", "rgb8", "label"]))
    if kind == "radar":
        shape = (draw(st.integers(1, 3)), 128, 128, 2)
        dtype = draw(st.sampled_from(["<f2", "<f4"]))
        scale = draw(st.sampled_from([0.0, 1e-3, 1.0, 6e4]))
        noise = np.random.default_rng(draw(st.integers(0, 9))).uniform(-1, 1, shape)
        return RadarFrame(**values, heatmap=(scale * noise).astype(dtype))
    if kind == "jpeg":
        image = b"\xff\xd8" + draw(st.binary(max_size=50))
        return CameraFrame(**values, codec="jpeg", image=image)
    if kind == "rgb8":
        rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        size = rows * columns * 3
        image = draw(st.binary(min_size=size, max_size=size))
        return CameraFrame(**values, codec="rgb8", image=image, shape=(rows, columns, 3))
    objects = tuple(draw(st.lists(scene_objects, max_size=5)))
    purpose: Any = draw(st.sampled_from(["train", "score"]))
    return LabelFrame(**values, objects=objects, purpose=purpose)


@given(frames())
@settings(max_examples=60, deadline=None)
def test_round_trip(frame: AnyFrame) -> None:
    """Every frame comes back as it went in."""
    again = wire.decode(wire.encode(frame))
    for name in set(frame.__dataclass_fields__) - {"heatmap"}:
        assert getattr(again, name) == getattr(frame, name)
    if isinstance(frame, RadarFrame):
        assert isinstance(again, RadarFrame)
        assert again.heatmap.dtype == frame.heatmap.dtype
        assert np.array_equal(again.heatmap, frame.heatmap)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_headers_raise_frame_errors_only(data: st.DataObject) -> None:
    """Flipped, lost and added bytes give a frame or a FrameError with a known reason."""
    bytes_ = bytearray(data.draw(st.sampled_from(HEADERS)))
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, max(len(bytes_) - 1, 0)))
        how = data.draw(st.sampled_from(["flip", "lose", "add", "cut"]))
        if how == "flip" and bytes_:
            bytes_[where] ^= data.draw(st.integers(1, 255))
        elif how == "lose":
            del bytes_[where : where + 1]
        elif how == "add":
            bytes_.insert(where, data.draw(st.integers(0, 255)))
        else:
            del bytes_[where:]
    payload = data.draw(st.sampled_from([None, b"", JPEG, bytes(6), ONE_CHIRP]))
    refused = refusal([bytes(bytes_)] + ([] if payload is None else [payload]))
    assert refused is None or refused.reason in wire.REASONS


anything = st.recursive(
    st.one_of(plain_values, st.binary(max_size=8), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(texts, st.binary()), inner)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.one_of(
            texts,
            st.sampled_from(["site", "seq", "stamp_ns", "epoch", "source", "shape", "dtype"]),
            st.sampled_from(["codec", "objects", "purpose", "v", "kind"]),
        ),
        anything,
        max_size=6,
    ),
    st.sampled_from(["radar", "camera", "label"]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_grammar_made_headers_raise_frame_errors_only(values: dict[str, Any], kind: str) -> None:
    """Valid msgpack with any values under our keys gives a frame or a FrameError."""
    whole = {"v": 1, "kind": kind, "site": "a", "seq": 0, "stamp_ns": 0, "epoch": 0} | values
    refused = refusal([msgpack.packb(whole)] + ([] if kind == "label" else [ONE_CHIRP]))
    assert refused is None or (refused.reason in wire.REASONS and len(refused.detail) < 400)
