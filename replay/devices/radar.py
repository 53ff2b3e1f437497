"""`rvsense device radar`: raw samples of a TI radar behind a DCA1000, made into heatmaps.

The chain is CRUW's (`rvsense.replay.dsp`). Frames are stamped by the kernel when their first
packet arrives: with 31 MB/s on the wire that is a fraction of a millisecond after the first chirp.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from rvsense.frames import RadarFrame
from rvsense.replay.devices.board import Board
from rvsense.replay.devices.chain import heatmap
from rvsense.replay.devices.dca1000 import Assembler, RawFrame
from rvsense.replay.devices.packets import Port
from rvsense.replay.devices.period import PeriodCheck


class Radar:
    """A DCA1000's data port as a device; the port's context lasts while the radar is to run."""

    name: Final = "radar"
    ends_s: Final = 30.0
    """A board that is being set up answers within 10 s a command, and is then stopped."""

    def __init__(
        self,
        board: Board,
        opened: AbstractContextManager[Port],
        site: str,
        epoch: int,
    ) -> None:
        self._board = board
        self._opened = opened
        self._port: Port | None = None
        self._site = site
        self._epoch = epoch
        self._assembler = Assembler(board.frame_bytes, max(2, round(1e9 / board.period_ns)))
        self._period = PeriodCheck(board.period_ns)

    def capture(self, offer: Callable[[RawFrame], None], stop: threading.Event) -> None:
        """Assemble frames until `stop`; raises RvsenseError when they cannot be the profile's."""
        with self._opened as self._port:
            for packet, arrival_ns in self._port.receive(stop):
                for raw in self._assembler.feed(packet, arrival_ns):
                    self._period.see(raw.number, raw.stamp_ns, self._assembler.restarts)
                    offer(raw)

    def frames(self, item: RawFrame) -> Sequence[RadarFrame]:
        """The message of one frame of samples."""
        return [
            RadarFrame(
                site=self._site,
                seq=item.number,
                stamp_ns=item.stamp_ns,
                epoch=self._epoch,
                heatmap=heatmap(item.payload, self._board),
            )
        ]

    def dropped(self) -> Mapping[str, int]:
        """Frames that lacked packets."""
        return {"incomplete": self._assembler.lost}

    def notes(self) -> Mapping[str, int]:
        """What happened to packets."""
        port = self._port
        return {
            "late_packets": self._assembler.late_packets,
            "malformed_packets": self._assembler.malformed,
            "strange_packets": port.strangers if port else 0,
            "queue_drops": port.queue_drops if port else 0,
        }
