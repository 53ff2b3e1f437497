"""Pictures of a V4L2 device, an RTSP or other network stream, or a file, by PyAV (FFmpeg)."""

import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rvsense.errors import ConfigError, UsageError
from rvsense.replay.devices.moments import KernelClock, Stamping, of_sender
from rvsense.replay.devices.outlet import Outlet
from rvsense.replay.pacing import Pacer

Kind = Literal["v4l2", "rtsp", "stream", "file"]

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0
_AT_ONCE_NS = 2_000_000
_OPENED_NS = 5_000_000_000
"""What was read ahead at opening is through by then."""
_UNSTAMPED_NS = 5_000_000_000
_LOOK_S = 0.2
_IN_LINE = 4
_IN_LINE_CODED = 30
"""Of pictures that build on one another: to lose one costs all up to the next whole one."""
_IN_DECODER = 64
"""Pictures that a decoder may hold back at most."""


class CameraLostError(Exception):
    """The source cannot be opened, or gives no more; it may come back."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as it came: JPEG bytes when the camera sends JPEG, else decoded."""

    stamp_ns: int
    jpeg: bytes | None
    picture: Any = None
    """A PyAV VideoFrame."""


@dataclass(slots=True)
class Counts:
    """Pictures that came and could not be used."""

    undecodable: int = 0
    unstamped: int = 0
    """Of unknown time: read while opening, or before an RTSP camera told its clock."""
    undecoded: int = 0
    """Pushed out by newer ones, as decoding did not keep up."""


@dataclass(frozen=True, slots=True)
class Source:
    """What to open, and how."""

    address: str
    stamping: Stamping = "arrival"
    size: tuple[int, int] | None = None
    """(width, height) to send; a V4L2 camera is asked for it, else pictures are scaled."""
    fps: float = 0.0
    """Pictures a second to send at most; 0 = as they come. A V4L2 camera is asked for it."""
    once: bool = False
    """A file ends instead of starting over."""
    decode: bool = False
    """Pictures are needed, also where the camera sends JPEG."""
    options: Mapping[str, str] | None = None
    """More options of FFmpeg's."""

    @property
    def kind(self) -> Kind:
        """What the address is."""
        if self.address.startswith("/dev/"):
            return "v4l2"
        if self.address.startswith(("rtsp://", "rtsps://")):
            return "rtsp"
        return "stream" if "://" in self.address else "file"

    @property
    def shown(self) -> str:
        """The address for people to read: without passwords, which are before @ or in a query."""
        scheme, is_url, rest = self.address.partition("://")
        if not is_url:
            return self.address
        _, hidden, rest = rest.rpartition("@")
        return f"{scheme}://{'...@' if hidden else ''}{re.split('[?#]', rest)[0]}"

    def check(self) -> None:
        """Raises UsageError for what cannot be opened, whatever is tried."""
        path = Path(self.address)
        place = path.parent if "%" in path.name else path  # numbered pictures: %010d.jpg
        if self.kind in ("v4l2", "file") and not place.exists():
            raise UsageError(
                f"no camera at {self.address}: a device like /dev/video0, a URL like "
                "rtsp://HOST/PATH, a video file or numbered pictures like DIR/%010d.jpg expected"
            )
        if self.stamping == "device" and self.kind in ("file", "stream"):
            raise UsageError(
                f"{self.shown} does not tell when its pictures were taken; --stamp-source "
                "device needs a V4L2 device or an RTSP camera, use arrival"
            )


class Video:
    """An open source; close it, or use it as a context manager.

    Raises:
        ConfigError: PyAV is not installed.
        UsageError: what was opened has no pictures.
        CameraLostError: it cannot be opened.
    """

    def __init__(self, source: Source, counts: Counts | None = None) -> None:
        self.counts = counts or Counts()
        self._source = source
        self._clock = KernelClock()
        self._over = threading.Event()
        self._reader: threading.Thread | None = None
        pyav = import_av()
        self._errors = pyav.error.FFmpegError
        try:
            self._container = pyav.open(
                source.address,
                format="v4l2" if source.kind == "v4l2" else None,
                options=_options(source),
                timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
            )
        except (OSError, self._errors) as error:
            raise CameraLostError(self._why(error)) from error
        if not self._container.streams.video:
            self._container.close()
            raise UsageError(f"{source.shown} has no pictures")
        self._stream = self._container.streams.video[0]
        # Several decoder threads hold back as many pictures.
        self._stream.thread_type = "SLICE"
        self._stream.codec_context.thread_count = 1

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._reader is not None:
            self._reader.join(2 * READ_TIMEOUT_S)
            if self._reader.is_alive():
                return  # a driver that hangs; closing under its feet would crash
        self._container.close()

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        """Pictures until `stop`; a file in its own time, over and over unless `once`.

        Raises:
            CameraLostError: no more pictures come.
            RvsenseError: the camera's stamps cannot be used.
        """
        try:
            yield from self._shots(stop)
        except (OSError, self._errors) as error:
            raise CameraLostError(self._why(error)) from error

    def _why(self, error: Exception) -> str:
        text: str = getattr(error, "strerror", None) or str(error)
        return text.replace(self._source.address, self._source.shown)

    def _shots(self, stop: threading.Event) -> Iterator[Shot]:
        if self._source.kind != "file":
            yield from self._live(stop)
            raise CameraLostError("the stream ended")
        pacer, base_ns = Pacer(1.0), 0
        while not stop.is_set():
            length_ns = yield from self._paced(pacer, base_ns, stop)
            if not length_ns or self._source.once:
                return
            base_ns += length_ns
            self._container.seek(0)

    def _live(self, stop: threading.Event) -> Iterator[Shot]:
        """Packets are stamped on a thread that waits for nobody, and decoded on this one."""
        whole = self._stream.codec_context.codec.intra_only
        line: Outlet[tuple[Any, int | None]] = Outlet(_IN_LINE if whole else _IN_LINE_CODED)
        self._reader = threading.Thread(target=self._read, args=(line,), name="read", daemon=True)
        self._reader.start()
        moments: OrderedDict[int | None, int] = OrderedDict()
        torn, lost = False, 0
        while not stop.is_set() and not line.ended:
            line.check()
            if (came := line.take(_LOOK_S)) is None:
                continue
            packet, stamp_ns = came
            if fell_out := line.overrun - lost:
                lost, torn = lost + fell_out, not whole
                self.counts.undecoded += fell_out
            if torn := torn and not packet.is_keyframe:
                self.counts.undecoded += 1
                continue
            if stamp_ns is not None:
                if (jpeg := self._jpeg(packet)) is not None:
                    yield Shot(stamp_ns, jpeg)
                    continue
                moments[packet.pts] = stamp_ns
                while len(moments) > _IN_DECODER:
                    moments.popitem(last=False)
            for picture in self._decode(packet):
                if (known_ns := moments.pop(picture.pts, None)) is not None:
                    yield Shot(known_ns, None, picture)
        line.check()

    def _read(self, line: Outlet[tuple[Any, int | None]]) -> None:
        """Offer packets with their moments, until the source ends."""
        began_ns = stamped_ns = time.monotonic_ns()
        fresh = self._source.stamping == "device"
        told = False
        packets = self._container.demux(self._stream)
        try:
            while not self._over.is_set():
                asked_ns = time.monotonic_ns()
                if (packet := next(packets, None)) is None:
                    break
                now_ns = time.monotonic_ns()
                # What FFmpeg read ahead while it opened the stream came earlier than we can tell.
                fresh = fresh or now_ns - asked_ns > _AT_ONCE_NS or now_ns - began_ns > _OPENED_NS
                if packet.size == 0:
                    continue
                stamp_ns = self._stamp_ns(packet) if fresh else None
                if stamp_ns is not None:
                    stamped_ns = now_ns
                else:
                    self.counts.unstamped += 1
                    if not told and now_ns - stamped_ns > _UNSTAMPED_NS:
                        told = True
                        self._tell_unstamped()
                line.offer((packet, stamp_ns))
        except BaseException as error:
            line.close(error)
        else:
            line.close()

    def _tell_unstamped(self) -> None:
        print(
            f"rvsense device: {self._source.shown}: pictures come, and none of the last "
            f"{_UNSTAMPED_NS / 1e9:g} s tells when it was taken: nothing is sent. The camera sends "
            "no RTCP reports, or has no clock; use --stamp-source arrival",
            file=sys.stderr,
            flush=True,
        )

    def _paced(
        self, pacer: Pacer, base_ns: int, stop: threading.Event
    ) -> Generator[Shot, None, int]:
        """One pass through a file; returns its length in nanoseconds."""
        first_ns: int | None = None
        play_ns, step_ns = 0, round(1e9 / float(self._stream.average_rate or 30))
        for packet in self._container.demux(self._stream):
            jpeg = self._jpeg(packet) if packet.size else None
            for item in (packet,) if jpeg is not None else self._decode(packet):
                at_ns = int((item.pts or 0) * self._stream.time_base * 1_000_000_000)
                first_ns = at_ns if first_ns is None else first_ns
                play_ns = at_ns - first_ns
                wait_ns = pacer.wait_ns(base_ns + play_ns, time.monotonic_ns())
                if stop.wait(wait_ns / 1e9):
                    return 0
                yield Shot(time.time_ns(), jpeg, None if jpeg is not None else item)
        return 0 if first_ns is None else play_ns + step_ns

    def _stamp_ns(self, packet: Any) -> int | None:
        if self._source.stamping == "arrival":
            return time.time_ns()
        if self._source.kind == "rtsp":
            if not packet.has_sidedata("prft"):
                return None
            return of_sender(bytes(packet.get_sidedata("prft")))
        return self._clock.wall_ns(
            packet.pts,
            packet.time_base,
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        )

    def _jpeg(self, packet: Any) -> bytes | None:
        """The packet's own bytes where they are what a frame message may carry."""
        source = self._source
        codec = self._stream.codec_context
        if codec.name != "mjpeg" or source.decode:
            return None
        if source.size is not None and source.size != (codec.width, codec.height):
            return None
        data = bytes(packet)
        return data if is_whole_jpeg(data) else None

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._errors:
            self.counts.undecodable += 1
            return []


def is_whole_jpeg(data: bytes) -> bool:
    """Whether any decoder can read it: webcams may leave out the Huffman tables."""
    scan = data.find(b"\xff\xda")
    return data[:2] == b"\xff\xd8" and data.find(b"\xff\xc4", 0, max(scan, 0)) > 0


def import_av() -> Any:
    """PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"cameras need PyAV ({error}); install it: pip install 'rvsense[camera]'"
        ) from None
    # FFmpeg's own chatter; errors come as exceptions.
    av.logging.set_level(av.logging.FATAL)
    return av


def _options(source: Source) -> dict[str, str]:
    options: dict[str, str] = {}
    if source.kind == "v4l2":
        if source.size:
            options["video_size"] = "{}x{}".format(*source.size)
        if source.fps:
            options["framerate"] = f"{source.fps:g}"
    elif source.kind == "rtsp":
        options |= {"rtsp_transport": "tcp"}
    if source.kind != "file":
        options |= {"flags": "low_delay"}
    return options | dict(source.options or {})
