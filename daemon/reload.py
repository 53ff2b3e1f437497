"""Reads the configuration again (SIGHUP, or the `reload` request); a bad one keeps the old."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import structlog

from rvsense import logs
from rvsense.config import Config, Serving
from rvsense.configfile import flatten
from rvsense.daemon.parts import Parts
from rvsense.errors import ConfigError

LIVE_SERVING = ("min_confidence", "max_ood_score", "swap_margin", "max_waiting_frames", "max_batch")
"""Settings of [serving] that take effect at once; all others wait for a restart."""


class Reloader:
    """Applies what can change while running, and says what cannot.

    Args:
        read: reads the configuration; None when the daemon was started without a file.
        configure_logs: sets the log level, where logs go to already.
    """

    def __init__(
        self,
        parts: Parts,
        read: Callable[[], Config] | None,
        configure_logs: Callable[[str], None] = logs.configure,
    ) -> None:
        self._parts, self._read, self._configure_logs = parts, read, configure_logs

    def __call__(self) -> dict[str, Any]:
        """Reload; returns the dotted keys that were applied, and those that need a restart.

        Raises:
            ConfigError: the new configuration is bad; the old one stands.
        """
        notifier = self._parts.notifier
        notifier.reloading()
        try:
            outcome = self._reload()
        except ConfigError:
            notifier.ready("the new configuration is refused; see the log")
            raise
        notifier.ready("reloaded")
        return outcome

    def _reload(self) -> dict[str, Any]:
        log = structlog.get_logger()
        try:
            rekeyed = self._read_keys()
            new = self._read_settings()
        except ConfigError as error:
            self._parts.metrics.reloaded(ok=False, now_s=time.time())
            log.error("reload_refused", error=str(error))
            raise
        changed = _changed(self._parts.config, new)
        live = [key for key in changed if _is_live(key)] + (["access.keys"] if rekeyed else [])
        self._apply(new)
        self._parts.metrics.reloaded(ok=True, now_s=time.time())
        later = [key for key in changed if not _is_live(key)]
        outcome = {"applied": live, "needs_restart": later}
        log.info("reloaded", **outcome)
        return outcome

    def _read_keys(self) -> bool:
        """Whether others are allowed in now; first of all, so that revoking always works."""
        return self._parts.doors.reload(time.monotonic())

    def _read_settings(self) -> Config:
        if self._read is not None:
            return self._read()
        if self._parts.doors.doorman is None:
            raise ConfigError("nothing to reload: the daemon was started without --config")
        return self._parts.config

    def _apply(self, new: Config) -> None:
        parts = self._parts
        values = {name: getattr(new.serving, name) for name in LIVE_SERVING}
        serving: Serving = dataclasses.replace(parts.config.serving, **values)
        parts.config = dataclasses.replace(parts.config, log_level=new.log_level, serving=serving)
        parts.inference.settings = serving
        parts.publisher.settings = serving
        parts.keeper.settings = serving
        self._configure_logs(new.log_level)


def _is_live(key: str) -> bool:
    section, _, name = key.rpartition(".")
    return key == "log_level" or (section == "serving" and name in LIVE_SERVING)


def _changed(old: Config, new: Config) -> list[str]:
    before = flatten(old)
    return [key for key, value in flatten(new).items() if value != before[key]]
