"""`rvsense device camera`: pictures as JPEG, as they come or as often as asked for.

A camera that sends JPEG is passed on as it is; anything else is decoded and encoded here. A camera
that goes away is looked for again, less and less often.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rvsense.errors import UsageError
from rvsense.frames import CameraFrame
from rvsense.replay.devices.moments import Throttle
from rvsense.replay.devices.video import (
    CameraLostError,
    Counts,
    Shot,
    Source,
    Video,
    import_av,
)

JPEG_QUALITY = 87
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
ENDS_S = 3.0
"""It may be waiting for a picture; nothing is lost with one that does not come."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A picture that is to be sent, and its number."""

    seq: int
    shot: Shot


class Watch:
    """Keeps a camera open: reads, and opens it again when it is lost. Counts what happened."""

    def __init__(self, source: Source) -> None:
        source.check()
        self.reconnections = 0
        self.counts = Counts()
        self._source = source

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        """Pictures until `stop`, or until a file that plays once has ended.

        Raises:
            RvsenseError: PyAV is missing, or the device's stamps cannot be used.
            UsageError: what is there has no pictures.
        """
        failures = 0
        while not stop.is_set():
            try:
                with Video(self._source, self.counts) as video:
                    for shot in video.shots(stop):
                        failures = 0
                        yield shot
                return
            except CameraLostError as error:
                if self._source.kind == "file":
                    raise UsageError(f"{self._source.shown}: {error}") from None
                self._wait(str(error), failures, stop)
            failures += 1

    def _wait(self, why: str, failures: int, stop: threading.Event) -> None:
        if stop.is_set():
            return
        pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
        self.reconnections += 1
        print(
            f"rvsense device: {self._source.shown}: {why}; again in {pause_s:g} s",
            file=sys.stderr,
            flush=True,
        )
        stop.wait(pause_s)


class Camera:
    """A camera as a device."""

    name: Final = "camera"
    ends_s: Final = ENDS_S

    def __init__(self, source: Source, site: str, epoch: int) -> None:
        self._watch = Watch(source)
        self._source = source
        self._site = site
        self._epoch = epoch
        self._spoilt = 0

    def capture(self, offer: Callable[[Numbered], None], stop: threading.Event) -> None:
        """Offer the pictures that are to be sent."""
        throttle = Throttle(self._source.fps)
        seq = 0
        for shot in self._watch.shots(stop):
            if throttle.takes(shot.stamp_ns):
                offer(Numbered(seq, shot))
                seq += 1

    def frames(self, item: Numbered) -> Sequence[CameraFrame]:
        """The message of one picture."""
        try:
            return [picture(item, self._site, self._epoch, self._source.size)]
        except UnreadableError:
            self._spoilt += 1
            return []

    def dropped(self) -> Mapping[str, int]:
        """Pictures that nobody can use."""
        return unused(self._watch.counts, self._spoilt)

    def notes(self) -> Mapping[str, int]:
        """How often it was lost."""
        return {"reconnections": self._watch.reconnections}


class UnreadableError(Exception):
    """A picture that cannot be made into JPEG; the next one may."""


def unused(counts: Counts, spoilt: int) -> dict[str, int]:
    """Pictures that came to nothing; `spoilt` ones were decoded and could not be encoded."""
    return {
        "undecodable": counts.undecodable + spoilt,
        "unstamped": counts.unstamped,
        "undecoded": counts.undecoded,
    }


def picture(
    item: Numbered, site: str, epoch: int, size: tuple[int, int] | None = None
) -> CameraFrame:
    """A picture as a frame message; scaled to `size` (width, height) where it was decoded.

    Raises:
        UnreadableError: it is no picture that can be encoded.
    """
    jpeg = item.shot.jpeg
    if jpeg is None:
        width, height = size or (None, None)
        buffer = io.BytesIO()
        try:
            image = item.shot.picture.to_image(width=width, height=height)
            image.save(buffer, "JPEG", quality=JPEG_QUALITY)
        except (OSError, ValueError, import_av().error.FFmpegError) as error:
            raise UnreadableError(str(error)) from error
        jpeg = buffer.getvalue()
    return CameraFrame(
        site=site,
        seq=item.seq,
        stamp_ns=item.shot.stamp_ns,
        epoch=epoch,
        codec="jpeg",
        image=jpeg,
    )
