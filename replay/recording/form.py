"""How a recording holds a message: names, schemas, and the parts of the wire as one body.

An MCAP channel for each stream, `/<site>/<kind>`; its message encoding is `msgpack`: one array of
[header map, payload], of [header map] alone for labels and results. The header's bytes stand in
it as they came, so that what is played again is the message that was taken in, to the byte.
`log_time` is when the daemon took the message in, `publish_time` its capture stamp.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgpack

from rvsense.errors import FrameError

PROFILE = "rvsense"
ENCODING = "msgpack"
SUFFIX = ".mcap"
NOTE = "rvsense.recording"
"""The metadata record at the start of each segment: what wrote it, and when it began."""
END_NOTE = "rvsense.end"
"""The metadata record at the end of each segment: messages kept and lost so far."""
NOT_KNOWN = "not known"
"""For `lost` in the end note of a recovered file that had none."""
SEQUENCE_NOTE = "rvsense.sequence"
"""The metadata record of one sequence of a converted dataset: its name, site and split."""

RecordedKind = Literal["radar", "camera", "label", "result"]
KINDS: tuple[RecordedKind, ...] = ("radar", "camera", "label", "result")

_COMMON = "site: text, seq: uint, stamp_ns: int (capture time), epoch: uint, source: map"
SCHEMAS: dict[RecordedKind, str] = {
    "radar": f"msgpack [{{v, kind: 'radar', {_COMMON}, shape: [chirps, 128 range, 128 azimuth, 2], "
    "dtype: '<f4' | '<f2'}, bytes: real and imaginary parts, C order]",
    "camera": f"msgpack [{{v, kind: 'camera', {_COMMON}, codec: 'jpeg' | 'rgb8', shape?}}, bytes]",
    "label": f"msgpack [{{v, kind: 'label', {_COMMON}, purpose: 'train' | 'score', "
    "objects: [{class, range_m, azimuth_rad}]}]",
    "result": "msgpack [{v, site, seq, stamp_ns, epoch, source, label, probs, abstain, ood_score, "
    "model, received_ns, published_ns, result_seq, drift, radio_only}]",
}

_BIN_32 = b"\xc6"


@dataclass(frozen=True, slots=True)
class Message:
    """One recorded message: `parts` as on the wire, times in nanoseconds since 1970."""

    kind: RecordedKind
    site: str
    received_ns: int
    stamp_ns: int
    parts: Sequence[bytes | memoryview]


def topic(site: str, kind: RecordedKind) -> str:
    """The channel that a site's messages of this kind go to."""
    return f"/{site}/{kind}"


def split_topic(name: str) -> tuple[str, RecordedKind] | None:
    """(site, kind) of a channel; None for a channel that is none of ours."""
    site, _, last = name.removeprefix("/").rpartition("/")
    for kind in KINDS:
        if last == kind and site and name.startswith("/"):
            return site, kind
    return None


def join(parts: Sequence[bytes | memoryview]) -> bytes:
    """Wire parts as one msgpack array; the header must be msgpack already."""
    if len(parts) == 1:
        return b"\x91" + bytes(parts[0])
    head, payload = parts
    return b"".join((b"\x92", head, _BIN_32, len(payload).to_bytes(4, "big"), payload))


def split(body: bytes) -> list[bytes | memoryview]:
    """The wire parts of a body, the header to the byte.

    Raises:
        FrameError: `bad_parts`, when it is not what `join` makes.
    """
    view = memoryview(body)
    if body[:1] not in (b"\x91", b"\x92"):
        raise FrameError("bad_parts", "the body of a recorded message is no array of one or two")
    unpacker = msgpack.Unpacker(max_buffer_size=len(body))
    # A header is 4 KiB at most: what lies behind it need not be looked at to find its end.
    unpacker.feed(view[1 : 1 + 2 * 4096])
    try:
        unpacker.skip()
    except (msgpack.OutOfData, ValueError) as error:
        raise FrameError("bad_parts", f"a recorded header is not msgpack ({error!r})") from None
    end = 1 + unpacker.tell()
    if body[0] == 0x91:
        if end != len(body):
            raise FrameError("bad_parts", f"{len(body) - end} bytes behind a recorded header")
        return [body[1:]]
    size = int.from_bytes(body[end + 1 : end + 5], "big")
    if body[end : end + 1] != _BIN_32 or end + 5 + size != len(body):
        raise FrameError("bad_parts", "the payload of a recorded message does not fill it")
    return [body[1:end], view[end + 5 :]]
