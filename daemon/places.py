"""Which sites there is a place for: so many, and always those that the configuration names. Pure.

Without names the first to come have the places until the daemon ends. Whoever may send could fill
them, by malice or by a device that makes up its name, before a radar that was away comes back.
"""

from collections.abc import Collection

from rvsense.config import Intake
from rvsense.errors import ConfigError, FrameError
from rvsense.wire import SITE


class Places:
    """At most `most` sites, of which those of `kept` have theirs from the start.

    Args:
        kept: see `kept_sites`.
    """

    def __init__(self, most: int, kept: frozenset[str] = frozenset()) -> None:
        self._most, self._kept = most, kept

    def check(self, name: str, taken: Collection[str]) -> None:
        """Whether `name` may be one more beside those of `taken`.

        Raises:
            FrameError: `too_many_sites`.
        """
        kept = len(self._kept.difference(taken, (name,)))
        if len(taken) + kept < self._most:
            return
        raise FrameError(
            "too_many_sites",
            f"no place for {name} beside {len(taken)} sites and {kept} that are to come; "
            f"intake.max_sites is {self._most}, and intake.sites names whose place is kept",
        )


def kept_sites(intake: Intake) -> frozenset[str]:
    """The names in `intake.sites`.

    Raises:
        ConfigError: one is no name of a site, or there are more than `intake.max_sites`.
    """
    names = frozenset(name for part in intake.sites.split(",") if (name := part.strip()))
    for name in sorted(names):
        if not SITE.fullmatch(name):
            raise ConfigError(
                f"intake.sites: {name!r} is no name of a site; up to 64 letters, digits, _ . - each"
            )
    if len(names) > intake.max_sites:
        raise ConfigError(
            f"intake.sites names {len(names)} sites, and intake.max_sites is {intake.max_sites}; "
            "raise that"
        )
    return names
