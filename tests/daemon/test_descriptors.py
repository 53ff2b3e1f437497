"""Room for open files: made at the start, or refused with the way to it."""

import resource

import pytest

from rvsense.daemon import descriptors
from rvsense.errors import ConfigError


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a shell or a service manager started us with."""
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))
    descriptors.make_room(max_connections=256)
    assert made == [(4096, 4096)]


def test_more_connections_than_open_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, naming the setting and the limit; not by one connection too many."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(ConfigError, match=r"max_connections is 2000.* 6128 .* 4096 .*LimitNOFILE"):
        descriptors.make_room(max_connections=2000)
