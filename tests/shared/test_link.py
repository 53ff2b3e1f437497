"""The language between daemon and learner."""

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


@pytest.mark.parametrize(
    "header",
    [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({}), msgpack.packb({"v": 9, "op": "pair"})],
)
def test_another_language_is_a_link_error(header: bytes) -> None:
    """What is no message of this version raises LinkError, and nothing else."""
    with pytest.raises(LinkError):
        link.unpack([header])


def test_no_parts_are_a_link_error() -> None:
    """An empty message raises LinkError."""
    with pytest.raises(LinkError):
        link.unpack([])
