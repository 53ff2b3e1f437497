"""The tap: what is taken in and answered, once more, for a recorder that asked for it.

Rules:
1. Nobody asked: there is no socket, and a frame costs one look at a flag.
2. A recorder holds the tap by a lease that it renews, with a token of its own choice that nobody
   else is told; one recorder at a time. A lease that runs out closes the tap: a recorder that was
   killed leaves nothing open. One that was only held up asks again, and is told where it ended.
3. The tap is a PUSH socket on a path in the daemon's private folder: its owner alone can read
   what it carries. A second reader would take messages from the first, so each lease has a path
   of its own.
4. Nothing waits for the recorder: what finds no room is counted in `lost`, and its number is
   missing from the sequence that the recorder sees.

Each message is a map, then the parts as they came: `{kind, site, seq, received_ns, stamp_ns}`;
`seq` counts everything that was to be recorded. `{kind: "hello", seq}` comes with every renewal.
"""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import structlog
import zmq

from rvsense import results
from rvsense.config import Recording
from rvsense.daemon.requests import RequestError
from rvsense.frames import AnyFrame
from rvsense.results import Result

LONGEST_LEASE_S = 60.0
LINGER_MS = 500
MAX_BY = 100
LEAST_TOKEN = 16


@dataclass(slots=True)
class Lease:
    """Who records, since when, until when, and what went through."""

    by: str
    token: str
    since_ns: int
    until_s: float
    endpoint: str
    socket: "zmq.Socket[bytes]"
    ended_seq: int | None
    """Where the same recorder's lease before this one had come to when it ran out."""
    clock_ns: int
    """Add it to the monotonic clock: the time of day at the start, free of later jumps."""
    attached: bool = False
    seq: int = 0
    messages: int = 0
    lost: int = 0
    size_bytes: int = 0
    sites: set[str] = field(default_factory=set)


class Tap:
    """Opens, feeds and closes the tap; used from the I/O thread alone.

    Args:
        folder: private to the daemon; the socket's path is in it.
        opened: told when recording begins and ends, for the metrics.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        folder: Path,
        settings: Recording,
        *,
        opened: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._context, self._folder, self._settings = context, folder, settings
        self._opened = opened
        self._lease: Lease | None = None
        self._leases = 0
        self._ran_out: tuple[str, int] | None = None
        self._log = structlog.get_logger()

    @property
    def open(self) -> bool:
        """Whether anybody records."""
        return self._lease is not None

    def request(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `{op: record, lease_s, by, token}`: open, renew, or with `lease_s` 0 close.

        Returns:
            `endpoint`; `attached`, whether a hello found its way; `seq`, the next number; and
            `ended_seq`, that of the lease before, if one of the same token had run out.

        Raises:
            RequestError: `bad_field`, `not_allowed`, or `busy` while somebody else records.
        """
        lease_s, by, token = head.get("lease_s"), head.get("by"), head.get("token")
        number = isinstance(lease_s, int | float) and not isinstance(lease_s, bool)
        if lease_s is None or not number or not 0 <= lease_s <= LONGEST_LEASE_S:
            raise RequestError("bad_field", f"lease_s: 0 to {LONGEST_LEASE_S:g} seconds expected")
        if not isinstance(by, str) or not 0 < len(by) <= MAX_BY:
            raise RequestError("bad_field", f"by: a name of 1 to {MAX_BY} characters expected")
        if not isinstance(token, str) or not LEAST_TOKEN <= len(token) <= MAX_BY:
            expected = f"{LEAST_TOKEN} to {MAX_BY} characters that nobody can guess expected"
            raise RequestError("bad_field", f"token: {expected}")
        lease = self._lease
        if lease is not None and not hmac.compare_digest(lease.token.encode(), token.encode()):
            raise RequestError("busy", f"{lease.by} records already; one recorder at a time")
        if not lease_s:
            seq = 0 if lease is None else lease.seq
            self.close()
            return {"endpoint": "", "attached": False, "seq": seq, "ended_seq": None}
        if lease is None:
            lease = self._lease = self._begin(by, token)
        lease.until_s = time.monotonic() + lease_s
        hello = self._send(lease, {"kind": "hello", "seq": lease.seq}, [])
        lease.attached = lease.attached or hello
        return {
            "endpoint": lease.endpoint,
            "attached": lease.attached,
            "seq": lease.seq,
            "ended_seq": lease.ended_seq,
        }

    def frame(self, frame: AnyFrame, parts: Sequence[Any]) -> None:
        """A frame was taken in; `parts` are its message as it came."""
        if self._lease is not None:
            self._pass_on(self._lease, frame.kind, frame.site, frame.stamp_ns, parts)

    def result(self, result: Result) -> None:
        """A result went out."""
        if self._lease is not None:
            body = results.pack(result)[1:]
            self._pass_on(self._lease, "result", result.site, result.stamp_ns, body)

    def tick(self) -> None:
        """Close the tap of a recorder that has not been heard of for too long."""
        if self._lease is not None and time.monotonic() > self._lease.until_s:
            self._log.warning("recorder_gone", by=self._lease.by)
            self._ran_out = (self._lease.token, self._lease.seq)
            self.close()

    def close(self) -> None:
        """End the recording; what waits still goes out, within half a second."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.socket.close(linger=LINGER_MS)
            self._opened(False)
            self._log.info("recording_ended", by=lease.by, messages=lease.messages, lost=lease.lost)

    def as_map(self) -> dict[str, Any] | None:
        """What `/statusz` says: null while nobody records."""
        lease = self._lease
        if lease is None:
            return None
        return {
            "by": lease.by,
            "since_ns": lease.since_ns,
            "sites": sorted(lease.sites),
            "messages": lease.messages,
            "bytes": lease.size_bytes,
            "lost": lease.lost,
        }

    def _begin(self, by: str, token: str) -> Lease:
        if not self._settings.allowed:
            raise RequestError("not_allowed", "recording.allowed is false in its configuration")
        self._leases += 1
        endpoint = f"ipc://{self._folder}/tap-{self._leases}"
        socket = self._context.socket(zmq.PUSH)
        socket.set_hwm(self._settings.waiting_messages)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise RequestError("no_tap", f"{endpoint} cannot be bound: {error.strerror}") from None
        now_ns = time.time_ns()
        self._opened(True)
        self._log.warning("recording_started", by=by, endpoint=endpoint)
        ran_out, self._ran_out = self._ran_out, None
        return Lease(
            by,
            token,
            since_ns=now_ns,
            until_s=0.0,
            endpoint=endpoint,
            socket=socket,
            ended_seq=ran_out[1] if ran_out is not None and ran_out[0] == token else None,
            clock_ns=now_ns - time.monotonic_ns(),
        )

    def _pass_on(
        self, lease: Lease, kind: str, site: str, stamp_ns: int, parts: Sequence[Any]
    ) -> None:
        if not lease.attached:
            return  # it has begun to ask, but not yet to listen
        head = {
            "kind": kind,
            "site": site,
            "seq": lease.seq,
            "received_ns": lease.clock_ns + time.monotonic_ns(),
            "stamp_ns": stamp_ns,
        }
        lease.seq += 1
        if self._send(lease, head, parts):
            lease.messages += 1
            lease.size_bytes += sum(len(part) for part in parts)
            lease.sites.add(site)
        else:
            lease.lost += 1

    def _send(self, lease: Lease, head: Mapping[str, Any], parts: Sequence[Any]) -> bool:
        try:
            lease.socket.send_multipart([msgpack.packb(head), *parts], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True
