"""Result messages: the contract's keys and bytes."""

import json
from collections.abc import Callable

import msgpack
import pytest

from rvsense import results
from rvsense.results import Result, ResultError

MakeResult = Callable[..., Result]

CONTRACT = {
    *("v", "site", "seq", "stamp_ns", "source", "label", "probs", "abstain", "ood_score"),
    *("model", "received_ns", "published_ns", "result_seq", "drift", "radio_only"),
}

GOLDEN = """
de0010 a17601 a473697465 a465617374 a373657107 a87374616d705f6e73 ce3b9aca07 a565706f636801
a6736f75726365 81a873657175656e6365 aa323031395f30345f3039
a56c6162656c a3636172
a570726f6273 84 a5656d707479 cb3fc0000000000000 aa7065646573747269616e cb3fc0000000000000
a76379636c697374 cb3fd0000000000000 a3636172 cb3fe0000000000000
a76162737461696e c0 a96f6f645f73636f7265 cb3fe8000000000000
a56d6f64656c 84 a26964 b6737465702d30303030303130302d6162636465663031 a473746570 64
a6736861323536 a86162616261626162 ac7075626c69736865645f6e73 05
ab72656365697665645f6e73 0a ac7075626c69736865645f6e73 14 aa726573756c745f736571 03
a56472696674 c2 aa726164696f5f6f6e6c79 c3
"""


def test_golden_bytes(make_result: MakeResult) -> None:
    """The topic and the bytes of a result are fixed."""
    topic, body = results.pack(make_result())
    assert topic == b"classification/east"
    assert body == bytes.fromhex(GOLDEN)


def test_the_contract_s_keys(make_result: MakeResult) -> None:
    """Each promised key is there, and a last value sent again says so."""
    assert set(results.as_map(make_result())) == CONTRACT | {"epoch"}
    assert results.as_map(make_result(repeat=True))["repeat"] is True
    model = results.as_map(make_result())["model"]
    assert set(model) == {"id", "step", "sha256", "published_ns"}
    json.dumps(results.as_map(make_result()), allow_nan=False)


def test_round_trip(make_result: MakeResult) -> None:
    """A result comes back as it went out, with a model and without, repeated or not."""
    nothing = make_result(model=None, label=None, probs={}, abstain="no_model", ood_score=None)
    for result in (make_result(), nothing, make_result(repeat=True, drift=True)):
        assert results.unpack(results.pack(result)) == result
    assert nothing.confidence == 0.0
    assert make_result().confidence == 0.5


def test_unknown_keys_are_ignored(make_result: MakeResult) -> None:
    """A newer daemon may say more, of the answer and of the model."""
    values = results.as_map(make_result())
    values |= {"velocity": 3.0, "model": values["model"] | {"preset": "edge"}}
    assert results.unpack([b"", msgpack.packb(values)]) == make_result()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        *map(msgpack.packb, ([1], 5, {}, {"v": 1}, {"v": 2}, {"v": 1, "model": "best"})),
    ],
)
def test_what_is_no_result_is_refused(body: bytes) -> None:
    """Other messages and versions raise ResultError, and nothing else."""
    with pytest.raises(ResultError):
        results.unpack([b"classification/east", body])


def test_a_message_of_one_part_is_refused() -> None:
    """A topic without a body is no result."""
    with pytest.raises(ResultError):
        results.unpack([b"classification/east"])
