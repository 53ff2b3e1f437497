"""Another wall clock for a process, put before the C library; the machine's own is never touched.

Debian's libfaketime would be the tool, but its 0.9.10 answers EINVAL to every wait by
CLOCK_MONOTONIC, which Python's `time.sleep` is.
"""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("wallclock.c")
HINT = "a C compiler is not here (cc)"


def compiler() -> str | None:
    """What builds it."""
    return shutil.which("cc")


class WallClock:
    """The clock of one daemon and what it starts; `environment` is what makes it so.

    Args:
        folder: where the library and the file with the time go.
    """

    def __init__(self, folder: Path, cc: str) -> None:
        library = folder / "wallclock.so"
        command = [cc, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
        self._file = folder / "wallclock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self._file)}

    def set(self, ahead_s: int) -> None:
        """Show so many seconds more than the machine's clock."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("q", ahead_s))
