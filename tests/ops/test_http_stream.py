"""Streams are bounded: in number, in time, and in how long one may leave what was sent unread."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from rvsense.daemon.http import MAX_REQUESTS, HttpServer
from rvsense.daemon.http_message import Request, Response
from rvsense.daemon.http_stream import Places

ASK = b"GET /events?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n"
Serve = Callable[..., HttpServer]


def talk(request: Request) -> Iterator[bytes]:
    """Says its query, then counts."""
    yield f"{dict(request.query)}\n".encode()
    for n in range(10**6):
        yield f"{n}\n".encode()


def flood(request: Request) -> Iterator[bytes]:
    """More than any buffer holds."""
    while True:
        yield bytes(1 << 20)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(stream, places)`: a server with one stream at /events."""
    servers = []

    def make(stream: object = talk, places: Places | None = None) -> HttpServer:
        server = HttpServer(
            "127.0.0.1:0",
            {"/page": lambda request: Response(b"page")},
            lambda path, error: None,
            streams={"/events": stream},  # type: ignore[dict-item]
            places=places,
        )
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


def look(server: HttpServer) -> socket.socket:
    """A viewer that has asked for the stream."""
    viewer = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    viewer.sendall(ASK)
    return viewer


def heard(viewer: socket.socket, text: bytes) -> bytes:
    """What came up to `text`."""
    said = b""
    while text not in said:
        more = viewer.recv(4096)
        assert more, f"the stream ended after {said!r}"
        said += more
    return said


def ends(viewer: socket.socket) -> None:
    """Read until the other side ends it."""
    try:
        while viewer.recv(1 << 20):
            pass
    except ConnectionError:
        pass


def test_a_stream_goes_on(serve: Serve) -> None:
    """Its pieces come one after another, as server-sent events, with the query as it was given."""
    viewer = look(serve())
    said = heard(viewer, b"\n3\n")
    assert b"Content-Type: text/event-stream\r\n" in said
    assert b"{'a': '2'}\n0\n1\n2\n3\n" in said
    viewer.close()


def test_one_viewer_too_many_is_told_so(serve: Serve) -> None:
    """The next one gets 503 and the reason; when one leaves there is a place again."""
    server = serve(places=Places(2))
    viewers = [look(server) for _ in range(2)]
    for viewer in viewers:
        heard(viewer, b"\n0\n")
    status, body = ask(server, "/events")
    assert status == 503
    assert body.startswith(b"2 pages are open already")
    viewers.pop().close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with look(server) as again:
            if b"200 OK" in again.recv(4096):
                break
    else:
        pytest.fail("the place never became free")


def test_streams_take_no_requests_place(serve: Serve) -> None:
    """With every stream taken, as many requests as ever are answered."""
    server = serve(places=Places(MAX_REQUESTS + 1))
    viewers = [look(server) for _ in range(MAX_REQUESTS + 1)]
    for viewer in viewers:
        heard(viewer, b"\n0\n")
    assert ask(server, "/page") == (200, b"page")
    for viewer in viewers:
        viewer.close()


def test_a_viewer_that_does_not_read_is_cut_off(serve: Serve) -> None:
    """Its place is free again soon after; the others see nothing of it."""
    places = Places(1, send_within_s=0.3)
    server = serve(flood, places)
    stalled = look(server)
    began = time.monotonic()
    while ask(server, "/page")[0] == 200:
        status = ask(server, "/events", body=False)[0]
        if status == 200:
            break
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    ends(stalled)
    stalled.close()


def test_a_stream_has_a_lifetime(serve: Serve) -> None:
    """After it the stream ends; whoever still looks may come again."""
    server = serve(places=Places(1, lifetime_s=0.3))
    with look(server) as viewer:
        ends(viewer)
    with look(server) as viewer:
        heard(viewer, b"\n0\n")


def test_the_servers_end_ends_streams(serve: Serve) -> None:
    """A stop does not wait for viewers, and leaves none behind."""
    server = serve()
    viewer = look(server)
    heard(viewer, b"\n0\n")
    began = time.monotonic()
    server.close()
    ends(viewer)
    assert time.monotonic() - began < 2
    viewer.close()


def test_head_of_a_stream_is_no_stream(serve: Serve) -> None:
    """HEAD says that it would be one, and ends."""
    server = serve(places=Places(1))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("HEAD", "/events")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    connection.close()


def test_a_query_is_bounded(serve: Serve) -> None:
    """Hundreds of fields are refused before anything looks at them."""
    assert ask(serve(), "/page?" + "&".join(f"a{n}=1" for n in range(300)))[0] == 400


def ask(server: HttpServer, path: str, *, body: bool = True) -> tuple[int, bytes]:
    """A request's status and, unless it may go on for ever, its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read() if body else b""
    connection.close()
    return response.status, text
