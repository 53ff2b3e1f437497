"""The requests endpoint: one reply to whatever comes, ok or an error with a code; results go on."""

import argparse
from random import Random
from typing import Any

import msgpack
import zmq

from tests.chaos.report import Report, at_most, exactly
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case, drive
from tests.fuzz.living import Living, living
from tests.fuzz.mutate import mutated

NAME = "requests"
HELP = "the requests of a real daemon: each gets one reply, and frames their results"
MESSAGES, QUICK = 40_000, 800

PULSE_EVERY = 50
WEIGH_EVERY = 500
WITHIN_MS = 30_000
"""Only a hang reaches this."""
LATE_MS = 300
MOST_LINES = 3_000
"""`reloaded` and the like have 300 a minute at most."""
SHAPE = {"shape": [1, 128, 128, 2], "dtype": "<f4"}
WHERE = {"site": "pulse", "stamp_ns": 1, "epoch": 0, "objects": []}
OPS: tuple[tuple[int, dict[str, Any], tuple[bytes, ...]], ...] = (
    (8, {"op": "classify"} | SHAPE, (golden.heatmap(1),)),
    (8, {"op": "label"} | WHERE, ()),
    (3, {"op": "frames"}, ()),
    (3, {"op": "status"}, ()),
    (1, {"op": "reload"}, ()),
    (1, {"op": "rollback", "model": "previous"}, ()),
    (1, {"op": "release"}, ()),
    (2, {"op": "record", "lease_s": 0.5, "by": "fuzz", "token": "0123456789abcdef"}, ()),
)
"""How often, a request, and its payload."""


def run(options: argparse.Namespace) -> Report:
    """Ask, one thing after another."""
    with living(options.work) as daemon, zmq.Context() as context:
        asking = context.socket(zmq.DEALER)
        asking.linger = 0
        asking.connect(daemon.stage.endpoints["requests"])

        def feed(case: Case) -> str:
            return ask(asking, case)

        def often(index: int) -> None:
            if index % PULSE_EVERY == 0:
                daemon.pulse()
            if index % WEIGH_EVERY == 0:
                daemon.weigh(index / options.messages)

        done = drive(options, NAME, request, feed, often=often)
        more = 0
        while asking.poll(LATE_MS):
            asking.recv_multipart()
            more += 1
        asking.close()
        return done.report(
            exactly("replies that nobody asked for", more, 0),
            *_rest(daemon, options.messages),
        )


def _rest(daemon: Living, messages: int) -> list[Any]:
    lines = len(daemon.lines)
    return [*daemon.figures(messages), at_most("lines in the log", lines, MOST_LINES)]


def request(rng: Random) -> Case:
    """A request, in one of the ways below."""
    _, fields, payload = rng.choices(OPS, [often for often, *_ in OPS])[0]
    entries = {"v": 1, "id": rng.choice((1, "x", None, 2**63)), **fields}
    how = rng.choice(("valid", "bytes", "bytes", "fields", "fields", "fields", "grammar", "parts"))
    parts: list[bytes] = [msgpack.packb(entries), *payload]
    if how == "bytes":
        others = [golden.head("request"), golden.head("radar frame")]
        parts[0] = mutated(parts[0], rng, others)
    elif how == "fields":
        parts[0] = grammar.packed(grammar.changed(entries, rng), rng)
    elif how == "grammar":
        anything = [(grammar.key(rng), grammar.value(rng)) for _ in range(rng.choice((0, 1, 9)))]
        parts = [grammar.packed(anything, rng)]
    elif how == "parts":
        parts = rng.choice(([], [b""], parts + parts, parts[1:], [b"", *parts], [b"", b"", *parts]))
    if rng.random() < 0.3:
        parts = [b"", *parts]  # as REQ has it
    return Case(how, parts or [b""])


def ask(socket: "zmq.Socket[bytes]", case: Case) -> str:
    """The reply to one request: `ok`, or the code of its error.

    Raises:
        BrokenError: there is none, or it is out of form.
    """
    socket.send_multipart(list(case.parts))
    if not socket.poll(WITHIN_MS):
        raise BrokenError("no reply")
    parts = socket.recv_multipart()
    reply = msgpack.unpackb(parts[-1])
    known = len(parts) <= 2 and reply["v"] == 1 and isinstance(reply["id"], str | int | None)
    if not known or type(reply["ok"]) is not bool:
        raise BrokenError(f"a reply out of form: {reply!r:.200}")
    if reply["ok"]:
        return "ok"
    code, message = reply["error"]["code"], reply["error"]["message"]
    if not (isinstance(code, str) and 0 < len(code) < 40 and isinstance(message, str)):
        raise BrokenError(f"an error out of form: {reply!r:.200}")
    return f"error {code}"
