"""Pages are read under names that lead here, and under no other site's: DNS rebinding."""

import http.client
from collections.abc import Iterator

import pytest

from rvsense.daemon.http import HttpServer
from rvsense.daemon.http_guard import Guard
from rvsense.daemon.http_message import Request, Response

NAMES = ("Box", "", " radar.lab. ")
OURS = (
    "127.0.0.1", "127.0.0.1:9464", "10.0.0.7:80", "[::1]", "[fe80::1]:9464", "localhost:9464",
    "LOCALHOST", "localhost.", "box", "BOX:9464", "radar.lab", "Radar.Lab.:1",
)  # fmt: skip
OTHERS = (
    "evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "",
    "box.evil.example", "[::1].evil.example", "127.0.0.1:9464.evil.example", "box@evil.example",
    "[box]", "127.1.evil", "box:80:80",
)  # fmt: skip


@pytest.mark.parametrize("header", [None, *OURS])
def test_names_that_lead_here(header: str | None) -> None:
    """Addresses, localhost and the given names, in any case, with any port; and no Host at all."""
    assert Guard(NAMES).refusal("/", header) is None


@pytest.mark.parametrize("header", OTHERS)
def test_names_of_others(header: str) -> None:
    """Anything else is refused with the remedy, but for the pages that are for everyone."""
    guard = Guard(NAMES, ("/metrics",))
    assert "page.hosts" in (guard.refusal("/statusz", header) or "")
    assert guard.refusal("/metrics", header) is None


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """With a page, a stream, and one page for everyone."""

    def page(request: Request) -> Response:
        return Response(b"figures")

    def stream(request: Request) -> Iterator[bytes]:
        yield b"figures"

    server = HttpServer(
        "127.0.0.1:0",
        {"/": page, "/livez": page},
        on_error=lambda path, error: None,
        streams={"/events": stream},
        guard=Guard((), ("/livez",)),
    )
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/events", "/?x=1", "/nowhere"])
def test_another_sites_page_reads_nothing(server: HttpServer, path: str, method: str) -> None:
    """A request under a foreign name is 403, page or stream; under ours it is answered."""
    for header, refused in (("evil.example", True), (f"127.0.0.1:{server.port}", False)):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(method, path, headers={"Host": header})
        answer = connection.getresponse()
        assert (answer.status == 403) is refused
        assert not refused or b"figures" not in answer.read()
        connection.request(method, "/livez", headers={"Host": header})
        assert connection.getresponse().status == 200
        connection.close()
