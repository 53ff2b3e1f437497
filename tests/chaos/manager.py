"""A service manager: takes what a daemon tells it (sd_notify), one state after the other."""

import queue
import socket
import threading
from pathlib import Path
from typing import Self

from tests.whole.running import PATIENCE_S

MOST_BYTES = 65536


class Manager:
    """A context manager; `environment` is what a daemon is to be started with.

    A datagram is lost where the kernel's queue is full, so somebody must read while it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.environment = {"NOTIFY_SOCKET": str(self.path)}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(0.2)
        self._ready: queue.Queue[str] = queue.Queue()
        self._stop = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reading.join()
        self._socket.close()

    def ready(self) -> str:
        """The status line of the next READY=1: of a start, or of the end of a reload.

        Raises:
            queue.Empty: none comes.
        """
        return self._ready.get(timeout=PATIENCE_S)

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                words = self._socket.recv(MOST_BYTES).decode().splitlines()
            except TimeoutError:
                continue
            if "READY=1" in words:
                status = [word for word in words if word.startswith("STATUS=")]
                self._ready.put(status[0].removeprefix("STATUS=") if status else "")
