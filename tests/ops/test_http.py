"""The HTTP side: exact paths, nothing but looking, and a port in use is an error at start."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from rvsense.daemon.http import MAX_REQUESTS, HttpServer
from rvsense.daemon.http_message import Request, Response, json_response
from rvsense.errors import ConfigError


def broken(request: Request) -> Response:
    """A route that fails."""
    raise KeyError("gone")


@pytest.fixture
def errors() -> list[tuple[str, str]]:
    """What the server reported: (path, exception)."""
    return []


@pytest.fixture
def server(errors: list[tuple[str, str]]) -> Iterator[HttpServer]:
    """A server with a few routes on a free port."""
    server = HttpServer(
        "127.0.0.1:0",
        {
            "/accept": lambda request: Response(request.accept.encode()),
            "/livez": lambda request: json_response({"live": False}, 503),
            "/broken": broken,
        },
        on_error=lambda path, error: errors.append((path, repr(error))),
    )
    server.start()
    yield server
    server.close()


def ask(
    server: HttpServer, path: str, method: str = "GET", accept: str = "*/*"
) -> tuple[http.client.HTTPResponse, bytes]:
    """A request's answer and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, headers={"Accept": accept})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_routes_answer(server: HttpServer) -> None:
    """A route gets the Accept header (a query is ignored); its status and type go out."""
    response, body = ask(server, "/accept?x=1", accept="text/x")
    assert (response.status, body) == (200, b"text/x")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    response, body = ask(server, "/livez")
    assert (response.status, json.loads(body)) == (503, {"live": False})
    assert response.headers["Content-Type"] == "application/json"


def test_no_versions_are_told(server: HttpServer) -> None:
    """The Server header names the daemon alone."""
    assert ask(server, "/accept")[0].headers["Server"] == "rvsense"


@pytest.mark.parametrize("path", ["/", "/accept/", "/accep", "/../livez", "//livez2", "/livez%00"])
def test_unknown_paths(server: HttpServer, path: str) -> None:
    """Paths are exact; anything else is 404 with the paths that there are."""
    response, body = ask(server, path)
    assert response.status == 404
    assert body.decode().splitlines()[1:] == ["/accept", "/broken", "/livez"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /accept", b"200"),
        (b"GET /accept HTTP/0.9", b"200"),
        (b"GET /accept HTTP/9.9", b"505"),
        (b"GET /accept SPDY/1", b"400"),
        (b"nonsense", b"400"),
        (b"POST /accept", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1", b"414"),
    ],
)
def test_every_answer_has_a_status_line(server: HttpServer, line: bytes, status: bytes) -> None:
    """Also to those who name no version, an old one or none that there is."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(line + b"\r\n\r\n")
        with client.makefile("rb") as answer:
            assert answer.readline().split(b" ")[:2] == [b"HTTP/1.0", status]


def test_head_has_no_body(server: HttpServer) -> None:
    """HEAD says what GET would, without the body."""
    response, body = ask(server, "/livez", method="HEAD")
    assert (response.status, body) == (503, b"")
    assert int(response.headers["Content-Length"]) == len(ask(server, "/livez")[1])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FROB"])
def test_only_looking(server: HttpServer, method: str) -> None:
    """Every other method is 405 and says what is allowed."""
    response, _ = ask(server, "/accept", method=method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_route_that_raises(
    server: HttpServer, errors: list[tuple[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """A failing route is 500 to the client and reported to the daemon, not to stderr."""
    response, body = ask(server, "/broken")
    assert (response.status, b"gone" in body) == (500, False)
    assert errors == [("/broken", "KeyError('gone')")]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "noise", [b"\r\n\r\n", b"\xff\xfe\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b""]
)
def test_noise_hurts_nobody(
    server: HttpServer, noise: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are no request are turned away in silence, and the next request is answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as channel:
        channel.sendall(noise)
        channel.shutdown(socket.SHUT_WR)
        while channel.recv(4096):
            pass
    assert ask(server, "/accept")[0].status == 200
    assert capfd.readouterr().err == ""


def test_requests_are_bounded(server: HttpServer) -> None:
    """Connections beyond the bound are closed at once, and freed places serve again."""
    idle = [
        socket.create_connection(("127.0.0.1", server.port), timeout=10)
        for _ in range(MAX_REQUESTS)
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as refused:
        assert refused.recv(1) == b""
    for channel in idle:
        channel.sendall(b"GET /accept HTTP/1.0\r\n\r\n")
        assert channel.recv(64).startswith(b"HTTP/1.0 200")
        while channel.recv(4096):
            pass
        channel.close()
    assert ask(server, "/accept")[0].status == 200


def test_a_trickling_client_loses_its_place() -> None:
    """A client that sends a byte now and then is cut off when the request's time is up."""
    server = HttpServer("127.0.0.1:0", {}, lambda path, error: None, request_timeout_s=0.2)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.02) as channel:
        channel.sendall(b"GET / HTTP/1.1\r\n")
        sent, cut_off = 0, False
        while not cut_off and sent < 1000:
            try:
                channel.sendall(b"x")
                sent += 1
                cut_off = channel.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                cut_off = True
    server.close()
    assert cut_off


def test_port_in_use(server: HttpServer) -> None:
    """A port that is taken is refused when the server is made, with the remedy."""
    address = f"127.0.0.1:{server.port}"
    with pytest.raises(ConfigError) as caught:
        HttpServer(address, {}, on_error=lambda path, error: None)
    assert str(caught.value) == f"http {address} is in use; choose another with --http"


@pytest.mark.parametrize("address", ["192.0.2.1:0", "no.such.host.invalid:0", "nonsense"])
def test_address_that_cannot_be_bound(address: str) -> None:
    """An address that is not ours, unknown or malformed is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=f"http {address} cannot be bound"):
        HttpServer(address, {}, on_error=lambda path, error: None)


def test_address_is_told() -> None:
    """The bound address is told with its real port; a server never started closes cleanly."""
    server = HttpServer("127.0.0.1:0", {}, on_error=lambda path, error: None)
    assert server.address == f"127.0.0.1:{server.port}"
    assert server.port > 0
    server.close()


def test_ipv6() -> None:
    """An IPv6 host in brackets is bound and shown in brackets."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = HttpServer("[::1]:0", {}, on_error=lambda path, error: None)
    except ConfigError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    assert server.address == f"[::1]:{server.port}"
    server.close()


def test_json_is_json() -> None:
    """A number that JSON has not becomes null, so that a NaN loss does not take a page away."""
    body = json_response({"loss": float("nan"), "steps": [3, float("-inf")]}).body
    assert json.loads(body) == {"loss": None, "steps": [3, None]}
