"""A small HTTP server for looking at the daemon: exact paths, GET and HEAD, nothing else.

It runs beside the frames, so it is bounded in every direction: a handful of requests at a time,
a time limit on every read and every request, no bodies taken in, no logging of its own. Streams
(`daemon.http_stream`) have places of their own.
"""

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from rvsense.addresses import split_host_port
from rvsense.daemon.http_guard import Guard
from rvsense.daemon.http_message import Request, Response, Route
from rvsense.daemon.http_stream import Places, Stream
from rvsense.errors import ConfigError

MAX_REQUESTS = 16
READ_TIMEOUT_S = 5.0
MAX_FIELDS = 8
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Other sites that a browser has open get nothing of this one, not even embedded.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer."""
STREAM_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
"""The second tells nginx, where it stands in between, to pass each piece on."""


class HttpServer:
    """Bound when made, answering from `start` to `close`."""

    def __init__(
        self,
        address: str,
        routes: Mapping[str, Route],
        on_error: Callable[[str, Exception], None],
        request_timeout_s: float = 10.0,
        *,
        streams: Mapping[str, Stream[Request]] | None = None,
        places: Places | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Bind `address` (HOST:PORT; port 0 takes a free one).

        Args:
            address: where to listen.
            routes: the exact paths, each with what answers it.
            on_error: told the path and the exception when a route raises; the client gets 500.
            request_timeout_s: how long one request may take altogether.
            streams: paths that go on answering, each with what it says piece by piece.
            places: how many of those there are, and for how long.
            guard: by what names they may be asked for; None lets in any.

        Raises:
            ConfigError: when the address cannot be bound, with the remedy.
        """
        self._places = places or Places()
        try:
            host, port = split_host_port(address)
            self._server = _Server(host, port, routes, on_error, request_timeout_s)
            self._server.streams, self._server.places = dict(streams or {}), self._places
            self._server.guard = guard
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
        self._places.close()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    streams: dict[str, Stream[Request]]
    places: Places
    guard: Guard | None
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
            self._since_s.pop(request, None)

    def goes_on(self, request: socket.socket) -> None:
        """This one has become a stream: it has a place there, and none of a request any more."""
        self._since_s.pop(request, None)

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
        path, _, query = self.path.partition("?")
        guard = self.server.guard
        if guard and (refusal := guard.refusal(path, self.headers.get("Host"))):
            self._answer(Response(refusal.encode(), status=HTTPStatus.FORBIDDEN))
            return
        try:
            fields = dict(parse_qsl(query, max_num_fields=MAX_FIELDS))
        except ValueError:
            self._answer(Response(b"too many query fields\n", status=HTTPStatus.BAD_REQUEST))
            return
        request = Request(self.headers.get("Accept", ""), fields)
        if path in self.server.streams:
            self._stream(path, request)
        else:
            self._answer(self._route(path, request))

    do_HEAD = do_GET  # noqa: N815 - the names are http.server's

    def version_string(self) -> str:
        """The Server header tells no versions."""
        return "rvsense"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: stderr belongs to the daemon's log."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of the protocol itself, as plain text; a method we lack is 405, not 501."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            allow = {"Allow": "GET, HEAD"}
            self._answer(Response(b"only GET and HEAD\n", status=405, headers=allow))
        else:
            text = message or explain or HTTPStatus(code).phrase
            self._answer(Response(f"{text}\n".encode(), status=code))
        self.close_connection = True

    def _route(self, path: str, request: Request) -> Response:
        route = self.server.routes.get(path)
        if route is None:
            known = "\n".join(sorted([*self.server.routes, *self.server.streams]))
            return Response(f"no such path; there are:\n{known}\n".encode(), status=404)
        try:
            return route(request)
        except Exception as error:
            self.server.on_error(path, error)
            return Response(b"internal error; the daemon's log names it\n", status=500)

    def _stream(self, path: str, request: Request) -> None:
        places = self.server.places
        with places.taken() as place:
            if place is None:
                self._answer(
                    Response(places.refusal.encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)
                )
                return
            self._head(HTTPStatus.OK, STREAM_HEADERS)
            if self.command == "HEAD":
                return
            self.server.goes_on(self.connection)
            self.close_connection = True
            try:
                place.feed(self.connection, self.server.streams[path](request))
            except OSError:
                return  # the viewer has gone, or has not read for too long
            except Exception as error:
                self.server.on_error(path, error)

    def _answer(self, response: Response) -> None:
        headers = {
            "Content-Type": response.content_type,
            "Content-Length": str(len(response.body)),
        }
        self._head(response.status, headers | dict(response.headers))
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        # To HTTP/0.9, which is also what cannot be read counts as, no status line would be sent.
        self.request_version = self.protocol_version
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _cannot_bind(address: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"http {address} is in use; choose another with --http"
    reason = error.strerror if isinstance(error, OSError) else error
    return f"http {address} cannot be bound ({reason}); choose another with --http"
