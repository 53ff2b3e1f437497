"""Errors that a user sees. Each names the thing, what is wrong with it and the remedy."""


class RvsenseError(Exception):
    """An error with a message fit for the terminal; `status` is the process's exit status."""

    status = 1


class UsageError(RvsenseError):
    """The command line asks for something impossible (exit 2)."""

    status = 2


class ConfigError(RvsenseError):
    """The configuration or the environment cannot work as given (exit 78, EX_CONFIG)."""

    status = 78


class DatasetError(UsageError):
    """A path that should hold a dataset does not; says what was looked for and where."""


class FrameError(RvsenseError):
    """One frame cannot be used. `reason` is a short word that counters are keyed by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ModelError(RvsenseError):
    """A published model or a checkpoint is damaged or does not fit; says which and how."""
