"""Room for as many open files as the connections that the configuration lets in."""

import resource

from rvsense.errors import ConfigError

ENTRANCES = 3
RESERVE = 128
"""Files of our own: libraries, threads, HTTP, models on their way in and out."""


def make_room(max_connections: int) -> None:
    """Raise the soft limit of open files to the hard one.

    The soft one is 1,024 by custom, for programs that call select(2); nothing here does.

    Raises:
        ConfigError: also the hard one is too low for `access.max_connections`.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = ENTRANCES * max_connections + RESERVE
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"access.max_connections is {max_connections}: {ENTRANCES} entrances need {needed} "
            f"open files, and {hard} are allowed; lower it, or raise the limit (LimitNOFILE= in "
            "the unit, `ulimit -Hn` in a shell)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
