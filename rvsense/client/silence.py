"""When nothing comes: for how long, and who is to be told. Pure: time is passed in, in seconds."""

from collections.abc import Callable

from rvsense.errors import RvsenseError

QUIET_S = 5.0
"""What counts as long where no limit is given."""


class SilenceError(RvsenseError):
    """No result has come for longer than `silence_s`; receiving may go on."""


class Silence:
    """Since the last result, or since the start.

    Args:
        endpoint: for the message.
        limit_s: how long it may last; None = for ever.
        tell: told its seconds after every `limit_s`; None = SilenceError instead.
    """

    def __init__(
        self,
        endpoint: str,
        limit_s: float | None,
        tell: Callable[[float], None] | None,
        now_s: float,
    ) -> None:
        self._endpoint, self._limit_s, self._tell = endpoint, limit_s, tell
        self.broken(now_s)

    def broken(self, now_s: float) -> None:
        """A result has come."""
        self._since_s = self._told_s = now_s

    @property
    def due_s(self) -> float | None:
        """When somebody is to be told next; None = never."""
        return None if self._limit_s is None else self._told_s + self._limit_s

    def lasted_s(self, now_s: float) -> float:
        """How long it has lasted."""
        return now_s - self._since_s

    def is_long(self, now_s: float) -> bool:
        """Whether it lasts for longer than it may."""
        return self.lasted_s(now_s) > (self._limit_s or QUIET_S)

    def mind(self, now_s: float) -> None:
        """Tell, if that is due.

        Raises:
            SilenceError: it is due, and there is nobody else to be told.
        """
        if self.due_s is None or now_s < self.due_s:
            return
        self._told_s = now_s
        if self._tell is not None:
            self._tell(self.lasted_s(now_s))
            return
        raise SilenceError(
            f"no result from {self._endpoint} for {self.lasted_s(now_s):.1f} s: is a daemon "
            "running there, and does its radar send frames?"
        )
