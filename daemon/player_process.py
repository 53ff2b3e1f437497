"""The player of `--replay`: a process of its own that sends through the real intake socket."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rvsense import curve
from rvsense.config import Replay
from rvsense.daemon.killing import kill
from rvsense.errors import RvsenseError


class PlayerError(RvsenseError):
    """The player failed; the daemon ends with its status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the replay ended with status {status}")
        self.status = status if status > 0 else RvsenseError.status


class PlayerProcess:
    """Runs `rvsense replay` and reads the report that it leaves.

    `keys` is the folder of its keys; without one it uses none, whatever the environment names.
    """

    def __init__(
        self, replay: Replay, endpoint: str, seed: int, *, keys: Path | None = None
    ) -> None:
        # -P: a folder named rvsense where we were started must not be taken for the package.
        command = [
            sys.executable,
            "-P",
            "-m",
            "rvsense",
            "replay",
            str(replay.path),
            "--to",
            endpoint,
        ]
        command += ["--speed", "max" if replay.lockstep else f"{replay.speed:g}"]
        command += ["--labels", str(replay.labels), "--score", "--seed", str(seed), "--json"]
        command += ["--until-pid", str(os.getpid())]
        command += ["--loop"] if replay.loop else []
        command += ["--keys", str(keys)] if keys else []
        strange = (curve.VARIABLE, curve.CREDENTIALS)
        environment = {name: text for name, text in os.environ.items() if name not in strange}
        # A session of its own: Ctrl-C reaches the daemon alone, which ends the player in turn.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        self._report: dict[str, Any] | None = None

    @property
    def report(self) -> dict[str, Any] | None:
        """What the player sent and what it could not read; None while it still runs."""
        return self._report

    def poll(self) -> int | None:
        """Messages sent altogether once the player has ended; None while it still runs.

        Raises:
            PlayerError: when it ended without a report; its own message stands above.
        """
        if self._report is None and self._process.poll() is not None:
            assert self._process.stdout is not None
            lines = self._process.stdout.read().splitlines()
            if self._process.returncode != 0 or not lines:
                raise PlayerError(self._process.returncode)
            self._report = json.loads(lines[-1])
        return None if self._report is None else sum(self._report["sent"].values())

    def terminate(self) -> None:
        """Ask the player to end, and do not wait for it."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """End the player; nothing more comes in."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                kill(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
