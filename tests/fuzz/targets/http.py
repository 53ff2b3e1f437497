"""The pages of a real daemon: whatever comes gets one answer in form, and only GET gets a page."""

import argparse
import contextlib
import re
import socket
from random import Random

from tests.chaos.report import Report, at_most, exactly
from tests.fuzz import grammar
from tests.fuzz.drive import BrokenError, Case, drive
from tests.fuzz.living import living
from tests.fuzz.mutate import mutated

NAME = "http"
HELP = "raw bytes at the HTTP server: one answer in form each, pages by GET and HEAD alone"
MESSAGES, QUICK = 30_000, 800

PATHS = ("/metrics", "/livez", "/readyz", "/statusz", "/historyz", "/", "/events", "/camera")
FOR_EVERYONE = (b"/metrics", b"/livez", b"/readyz")
METHODS = (
    *("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"),
    *("get", "GE T", "", "G" * 300, "GET\t", "__init__", "M\xc9THOD"),
)
VERSIONS = (
    *("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1.1"),
    *("HTTP/-1.0", "HTTP/1", "http/1.1", "", "HTTP/" + "1" * 500 + ".0", "SPDY/3"),
)
HOSTS = (
    *("localhost", "127.0.0.1", "[::1]:9464", "LOCALHOST.:80", "evil.example", "", " ", "a" * 3000),
    *("127.0.0.1.evil.example", "localhost@evil.example", "[::1", "localhost:80:80", "\xff"),
)
FOREIGN = tuple(name for name in HOSTS if "evil" in name or name.startswith("aaa"))
FIRST_HOST = re.compile(rb"^Host: ([^\r\n]*)", re.MULTILINE)
LINES = (
    *("Accept: */*", "Accept: application/openmetrics-text", "X: " + "y" * 300, "No-Colon"),
    *("Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999"),
    *("Transfer-Encoding: chunked", "Connection: keep-alive", "Connection: upgrade", ": empty"),
    *("Expect: 100-continue", "Upgrade: h2c", " folded", "Nul: \x00", "Host: localhost", "\x00"),
    *("Range: bytes=0-1", "Cookie: " + "c" * 9000, "X: " + "z" * 70_000),
)
STATUS = re.compile(rb"HTTP/1\.[01] ([245]\d\d) [^\r\n]*\r\n")
FIELD = re.compile(rb"[A-Za-z-]+: [^\r\n]*")
KNOCK_S, ANSWER_S = 5.0, 30.0
"""Only a hang reaches the second: the daemon ends a request after ten seconds itself."""
MOST_SLOW = 6
WEIGH_EVERY, PULSE_EVERY = 500, 50
MOST_LINES = 60


def run(options: argparse.Namespace) -> Report:
    """Ask, and hold a few connections half open all the while."""
    slow: list[socket.socket] = []
    with living(options.work) as daemon:
        host, _, port = daemon.stage.endpoints["http"].rpartition(":")
        at = (host, int(port))

        def feed(case: Case) -> str:
            if case.how == "slow":
                hold(slow, at, case)
                return "held"
            return ask(at, case)

        def often(index: int) -> None:
            if index % PULSE_EVERY == 0:
                daemon.pulse()
            if index % WEIGH_EVERY == 0:
                daemon.weigh(index / options.messages)

        done = drive(options, NAME, request, feed, often=often)
        left = sum(not _ended(line) for line in slow)
        return done.report(
            exactly("half a request, and not hung up on", left, 0),
            *daemon.figures(options.messages),
            at_most("lines in the log", len(daemon.lines), MOST_LINES),
        )


def request(rng: Random) -> Case:
    """A request, in one of the ways below."""
    how = rng.choices(("valid", "parts", "bytes", "flood", "slow", "twice"), (20, 40, 30, 4, 2, 4))[
        0
    ]
    method, path = rng.choice(METHODS), rng.choice((*PATHS, *PATHS, _path(rng)))
    version, host = rng.choice(VERSIONS), rng.choice(HOSTS)
    lines = [f"Host: {host}", *rng.choices(LINES, k=rng.choice((0, 1, 2, 3)))]
    if how != "parts":
        method, version, lines = rng.choice(("GET", "HEAD")), "HTTP/1.1", ["Host: localhost"]
    if how == "flood":
        lines += [f"X-{n}: {rng.choice(LINES)}" for n in range(rng.choice((99, 101, 1000)))]
    text = "\r\n".join([f"{method} {path}{_query(rng)} {version}".strip(), *lines, "", ""])
    data = text.encode("latin-1", "replace")
    if how == "bytes":
        data = mutated(data, rng, [b"GET /statusz HTTP/1.1\r\nHost: x\r\n\r\n"])
    elif how == "slow":
        data = data[: rng.randrange(len(data) - 3)]
    elif how == "twice":
        data = data * 2
    elif rng.random() < 0.1:
        data += rng.randbytes(rng.choice((5, 1000, 100_000)))
    return Case(how, [data])


def _path(rng: Random) -> str:
    name = grammar.text(rng).encode("utf-8", "replace").decode("latin-1")
    return rng.choice(("/", "//", "http://evil.example/", "*", "/statusz/../", "/%2e%2e/")) + name


def _query(rng: Random) -> str:
    if rng.random() < 0.6:
        return ""
    fields = [f"{rng.choice(('site', 'view', 'a'))}={grammar.text(rng)}" for _ in range(3)]
    query = rng.choice(("&".join(fields), "&" * 20, "a=1&" * 20, "%", "%zz", "site=" + "x" * 9000))
    return "?" + query.encode("utf-8", "replace").decode("latin-1")


def ask(at: tuple[str, int], case: Case) -> str:
    """The status of the one answer, or that there was none.

    Raises:
        BrokenError: it is out of form, or none that such a request may get.
    """
    data = case.parts[0]
    with socket.create_connection(at, timeout=ANSWER_S) as line:
        with contextlib.suppress(OSError):  # it may hang up before all is said
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
        answer = _read(line)
    if not answer:
        if case.how in ("valid", "twice"):
            raise BrokenError("no answer")
        return "none"
    return _check(answer, data)


def _read(line: socket.socket) -> bytes:
    """All of the answer; of a stream, its beginning."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(65_536):
            answer += piece
            if b"text/event-stream" in answer and b"\r\n\r\n" in answer:
                break
    return answer


def _check(answer: bytes, data: bytes) -> str:
    status = STATUS.match(answer)
    head, end, body = answer.partition(b"\r\n\r\n")
    if not status or not end:
        raise BrokenError(f"no answer in form: {answer[:200]!r}")
    fields = head.split(b"\r\n")[1:]
    if not all(FIELD.fullmatch(field) for field in fields):
        raise BrokenError(f"a field out of form: {head!r}")
    values = dict(field.lower().split(b": ", 1) for field in fields)
    stream = values[b"content-type"] == b"text/event-stream"
    if not stream and body and len(body) != int(values[b"content-length"]):
        raise BrokenError(f"{len(body)} bytes of body for {values[b'content-length']!r}")
    words = data.lstrip(b"\r\n").partition(b"\r")[0].split()
    if status[1] == b"200" and (not words or words[0] not in (b"GET", b"HEAD")):
        raise BrokenError(f"a page for {data[:80]!r}")
    foreign = (found := FIRST_HOST.search(data)) and found[1].decode("latin-1") in FOREIGN
    if status[1] == b"200" and foreign and not words[1].startswith(FOR_EVERYONE):
        raise BrokenError(f"a page under a foreign name for {data[:80]!r}")
    if b"Traceback" in body:
        raise BrokenError("a traceback in the page")
    return status[1].decode()


def hold(slow: list[socket.socket], at: tuple[str, int], case: Case) -> None:
    """Say half of a request and no more; the first of many is let go."""
    if len(slow) == MOST_SLOW:
        slow.pop(0).close()
    line = socket.create_connection(at, timeout=ANSWER_S)
    line.sendall(case.parts[0])
    slow.append(line)


def _ended(line: socket.socket) -> bool:
    """Whether the other end hangs up."""
    with line:
        try:
            while line.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
    return True
