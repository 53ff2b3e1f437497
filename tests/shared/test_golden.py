"""docs/protocol.md, byte for byte: what it shows is what goes over the wire."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from rvsense import results, wire
from rvsense.frames import LabelFrame, RadarFrame
from rvsense.requesting import RefusedError, Requester

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SHOWN = re.compile(r"A ([^\n]*):\n\n```json\n(.*?)\n```\n\n```\n([0-9a-f\n]+)\n```", re.DOTALL)
GOLDEN = {
    text: (json.loads(values.replace("\n", " ")), bytes.fromhex(hexadecimal))
    for text, values, hexadecimal in SHOWN.findall(PAGE)
}


def golden(beginning: str) -> tuple[dict[str, Any], bytes]:
    """What the page shows under the line that begins so: its values and its bytes."""
    [found] = [shown for text, shown in GOLDEN.items() if text.startswith(beginning)]
    return found


def test_the_page_shows_every_kind_of_message() -> None:
    """Three kinds of frame, a result, a request, and both replies."""
    assert len(GOLDEN) == 7


@pytest.mark.parametrize("text", GOLDEN)
def test_bytes_and_values_are_the_same_message(text: str) -> None:
    """In this order of the keys."""
    values, body = GOLDEN[text]
    assert list(msgpack.unpackb(body).items()) == list(values.items())


def test_a_radar_frame() -> None:
    """Both ways."""
    _, head = golden("radar frame")
    payload = np.zeros((4, 128, 128, 2), "<f4")
    frame = wire.decode([head, payload.tobytes()])
    assert isinstance(frame, RadarFrame)
    assert [bytes(part) for part in wire.encode(frame)] == [head, payload.tobytes()]
    assert f"{payload.nbytes} bytes" in PAGE


def test_a_camera_frame() -> None:
    """Both ways."""
    _, head = golden("camera frame")
    jpeg = b"\xff\xd8\xff\xd9"
    assert wire.encode(wire.decode([head, jpeg])) == [head, jpeg]


def test_a_label() -> None:
    """Both ways, and it says what the page says."""
    values, head = golden("label")
    frame = wire.decode([head])
    assert wire.encode(frame) == [head]
    assert isinstance(frame, LabelFrame)
    assert frame.objects[0].range_m == values["objects"][0]["range_m"]


def test_a_result() -> None:
    """Both ways, under its topic."""
    values, body = golden("result")
    result = results.unpack([b"classification/north", body])
    assert results.pack(result) == [b"classification/north", body]
    assert (result.label, result.confidence) == (values["label"], values["probs"]["car"])


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], tuple[str, list[bytes]]]]:
    """`serve(reply)`: an endpoint that answers one request so, and the request that came."""
    context = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def make(reply: bytes) -> tuple[str, list[bytes]]:
        socket = context.socket(zmq.ROUTER)
        sockets.append(socket)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        heard: list[bytes] = []

        def answer() -> None:
            identity, request = socket.recv_multipart()
            heard.append(request)
            socket.send_multipart([identity, reply])

        threading.Thread(target=answer, daemon=True).start()
        return f"tcp://127.0.0.1:{port}", heard

    yield make
    context.destroy(linger=0)


def test_a_request_and_its_reply(serve: Callable[[bytes], tuple[str, list[bytes]]]) -> None:
    """What a requester sends, and how it takes both kinds of reply."""
    asked, request = golden("request")
    replied, reply = golden("reply")
    endpoint, heard = serve(reply)
    fields = {key: value for key, value in asked.items() if key not in ("v", "id", "op")}
    with Requester(endpoint) as requester:
        assert requester.ask(asked["op"], **fields) == replied
    assert heard == [request]
    endpoint, _ = serve(golden("refusal")[1])
    with Requester(endpoint) as requester, pytest.raises(RefusedError) as refused:
        requester.ask("fly")
    assert refused.value.code == golden("refusal")[0]["error"]["code"]
