"""A small HTTP server for looking at the daemon: exact paths, GET and HEAD, nothing else.

It runs beside the frames, so it is bounded in every direction: a handful of requests at a time,
a time limit on every read and every request, no bodies taken in, no logging of its own.
"""

import contextlib
import errno
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rvsense.addresses import split_host_port
from rvsense.errors import ConfigError

MAX_REQUESTS = 16
READ_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = HTTPStatus.OK


Route = Callable[[str], Response]
"""Makes the answer to one path from the request's Accept header, in a thread of its own."""


def json_line(value: Any, indent: int | None = None) -> str:
    """A value as JSON text; NaN and infinity, which JSON has not, become null."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, indent=indent)


def json_response(value: Any, status: int = HTTPStatus.OK) -> Response:
    """A page of JSON."""
    return Response(json_line(value, 2).encode() + b"\n", "application/json", status)


class HttpServer:
    """Bound when made, answering from `start` to `close`."""

    def __init__(
        self,
        address: str,
        routes: Mapping[str, Route],
        on_error: Callable[[str, Exception], None],
        request_timeout_s: float = 10.0,
    ) -> None:
        """Bind `address` (HOST:PORT; port 0 takes a free one).

        Args:
            address: where to listen.
            routes: the exact paths, each with what answers it.
            on_error: told the path and the exception when a route raises; the client gets 500.
            request_timeout_s: how long one request may take altogether.

        Raises:
            ConfigError: when the address cannot be bound, with the remedy.
        """
        try:
            host, port = split_host_port(address)
            self._server = _Server(host, port, routes, on_error, request_timeout_s)
        except (OSError, ValueError) as error:
            raise ConfigError(_cannot_bind(address, error)) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="http"
        )
        self._thread.daemon = True

    @property
    def address(self) -> str:
        """HOST:PORT with the port that was bound."""
        host, port = self._server.server_address[:2]
        text = str(host)
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port. Also right when never started."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that dawdles does not hold up the shutdown
    request_queue_size = 32

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Route],
        on_error: Callable[[str, Exception], None],
        request_timeout_s: float,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.routes = dict(routes)
        self.on_error = on_error
        self._request_timeout_s = request_timeout_s
        self._since_s: dict[socket.socket, float] = {}
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own would look the host's name up in the DNS here.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._since_s) >= MAX_REQUESTS:
            self.shutdown_request(request)
            return
        self._since_s[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            del self._since_s[request]
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self._since_s[request]

    def service_actions(self) -> None:
        """Cut off clients that keep their place without ever finishing."""
        late_s = time.monotonic() - self._request_timeout_s
        for request, since_s in list(self._since_s.items()):
            if since_s < late_s:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event; what routes raise is reported where it happens."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer a path of ours, or say which there are."""
        self._answer(self._route())

    do_HEAD = do_GET  # noqa: N815 - the names are http.server's

    def version_string(self) -> str:
        """The Server header tells no versions."""
        return "rvsense"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: stderr belongs to the daemon's log."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of the protocol itself, as plain text; a method we lack is 405, not 501."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer(Response(b"only GET and HEAD\n", status=405), {"Allow": "GET, HEAD"})
        else:
            text = message or explain or HTTPStatus(code).phrase
            self._answer(Response(f"{text}\n".encode(), status=code))
        self.close_connection = True

    def _route(self) -> Response:
        path = self.path.partition("?")[0]
        route = self.server.routes.get(path)
        if route is None:
            known = "\n".join(sorted(self.server.routes))
            return Response(f"no such path; there are:\n{known}\n".encode(), status=404)
        try:
            return route(self.headers.get("Accept", ""))
        except Exception as error:
            self.server.on_error(path, error)
            return Response(b"internal error; the daemon's log names it\n", status=500)

    def _answer(self, response: Response, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)


def _cannot_bind(address: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"http {address} is in use; choose another with --http"
    reason = error.strerror if isinstance(error, OSError) else error
    return f"http {address} cannot be bound ({reason}); choose another with --http"
