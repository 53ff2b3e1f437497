"""A learner that runs by itself tells systemd how it is: READY, STATUS, WATCHDOG."""

import time
from collections.abc import Callable

from rvsense.notify import Notifier

STATUS_EVERY_S = 5.0


class Vitals:
    """Called once a turn of the learner's loop; passes on what is due.

    Ready from the first turn on: bound, and the last checkpoint restored. A turn is at most a
    training step, a checkpoint or a wait of a second, so a watchdog that is fed by turns is fed
    by progress.
    """

    def __init__(self, notifier: Notifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._notifier, self._clock = notifier, clock
        self._status_at_s: float | None = None
        self._fed_at_s = clock()

    def turned(self, step: int, daemons: int) -> None:
        """The loop went round: it stands at `step` and serves so many daemons."""
        now = self._clock()
        status = f"step {step}, {daemons} daemon{'' if daemons == 1 else 's'}"
        if self._status_at_s is None:
            self._notifier.ready(status)
            self._status_at_s = now
        elif now - self._status_at_s >= STATUS_EVERY_S:
            self._notifier.status(status)
            self._status_at_s = now
        interval_s = self._notifier.watchdog_interval_s
        if interval_s is not None and now - self._fed_at_s >= interval_s:
            self._fed_at_s = now
            self._notifier.watchdog()

    def stopping(self) -> None:
        """Told to stop: the checkpoint comes now."""
        self._notifier.stopping("writing a checkpoint")
