"""The language between daemon and learner."""

from typing import Any

import msgpack
import numpy as np
import pytest

from rvsense import link
from rvsense.link import Label, LinkError, Pair


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
@pytest.mark.parametrize("shape", [None, (2, 3, 3)])
def test_pairs_and_labels_come_back(dtype: str, shape: tuple[int, int, int] | None) -> None:
    """A pair and a label are the same on the other side, in either precision and codec."""
    heatmap = np.random.default_rng(0).standard_normal((2, 128, 128, 2)).astype(dtype)
    pair = Pair("east", 1, -5, 2, 3, -4, "jpeg", heatmap, b"\xff\xd8", shape)
    op, values, payloads = link.unpack(link.pack_pair(pair))
    again = link.unpack_pair(values, payloads)
    assert op == "pair"
    assert np.array_equal(again.heatmap, heatmap)
    assert again.heatmap.dtype == np.dtype(dtype)
    for name in set(Pair.__dataclass_fields__) - {"heatmap"}:
        assert getattr(again, name) == getattr(pair, name)

    op, values, payloads = link.unpack(link.pack_label(Label("east", 1, 5, "car", heatmap)))
    label = link.unpack_label(values, payloads)
    assert (op, label.site, label.epoch, label.stamp_ns) == ("label", "east", 1, 5)
    assert label.label == "car"
    assert np.array_equal(label.heatmap, heatmap)


HEAD = {"v": link.VERSION, "op": "figures"}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        msgpack.packb([1]),
        msgpack.packb({}),
        msgpack.packb({"v": 9, "op": "pair"}),
        msgpack.packb(HEAD | {"op": ["figures"]}),
        msgpack.packb(HEAD | {"x": "x" * link.MOST_HEAD_BYTES}),
        msgpack.packb(HEAD | {"x": [[[[[0]]]]]}),
        msgpack.packb(HEAD | {"x": {b"bytes": 0}}),
        msgpack.packb(HEAD | {"x": msgpack.ExtType(1, b"")}),
        b"\x91" * 2000 + b"\xc0",
    ],
)
def test_another_language_is_a_link_error(header: bytes) -> None:
    """What is no message of this version raises LinkError, and nothing else."""
    with pytest.raises(LinkError):
        link.unpack([header])


def test_no_parts_are_a_link_error() -> None:
    """An empty message raises LinkError."""
    with pytest.raises(LinkError):
        link.unpack([])


def pair_message(**changes: object) -> list[Any]:
    """A pair of zeros with some values changed as another version, or an enemy, may send them."""
    heatmap = np.zeros((1, 128, 128, 2), "<f4")
    header, *payloads = link.pack_pair(Pair("east", 1, 5, 2, 3, 4, "jpeg", heatmap, b"\xff\xd8"))
    return [msgpack.packb(msgpack.unpackb(header) | changes), *payloads]


@pytest.mark.parametrize(
    "changes",
    [
        {"stamp_ns": 2**63},
        {"stamp_ns": -(2**63) - 0.5},
        {"stamp_ns": None},
        {"epoch": 2**32},
        {"epoch": -1},
        {"radar_seq": 2**64 - 1},
        {"skew_ns": "0"},
        {"site": "x" * 65},
        {"site": None},
        {"codec": "png"},
        {"dtype": "S4"},
        {"dtype": "<i4"},
        {"dtype": ["<f4"]},
        {"shape": [0, 128, 128, 2]},
        {"shape": [2**64 - 1, 128, 128, 2]},
        {"shape": []},
        {"image_shape": [2]},
        {"image_shape": [-1, -1, 3]},
        {"image_shape": [0, 0, 3]},
        {"image_shape": [1, 1, 4]},
        {"image_shape": [1.0, 1, 3]},
    ],
)
def test_a_pair_that_cannot_be_one_is_a_link_error(changes: dict[str, object]) -> None:
    """Whatever would fail later, in the middle of learning from it, is found at the door."""
    _, values, payloads = link.unpack(pair_message(**changes))
    with pytest.raises(LinkError):
        link.unpack_pair(values, payloads)


def test_stamps_and_epochs_reach_to_their_ends() -> None:
    """The largest and smallest that there are come back."""
    for stamp_ns, epoch in ((2**63 - 1, 2**32 - 1), (-(2**63), 0)):
        _, values, payloads = link.unpack(pair_message(stamp_ns=stamp_ns, epoch=epoch))
        pair = link.unpack_pair(values, payloads)
        assert (pair.stamp_ns, pair.epoch) == (stamp_ns, epoch)
