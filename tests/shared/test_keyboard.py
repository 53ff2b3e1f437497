"""Single keys, from a real pseudo-terminal."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from rvsense.terminal.keyboard import END, keys


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of a terminal that is standard input."""
    far, near = os.openpty()
    with os.fdopen(near) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield far
    os.close(far)


@pytest.mark.parametrize(
    ("typed", "pressed"), [(b"\x1b[Aq", "q"), (b"\x1bOQ", ""), (b"x\xffq", "x\ufffdq")]
)
def test_keys_that_come_at_once_are_all_seen(typed: bytes, pressed: str, typist: int) -> None:
    """A letter behind an arrow; and F2, which ends in one, is none."""
    with keys() as read:
        assert read(0.0) == ""
        os.write(typist, typed)
        assert read(10.0) == pressed
        assert read(0.0) == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_finaliser_has_swallowed_is_heeded(number: int, typist: int) -> None:
    """As Python does with whatever is raised in one: the program would go on for ever."""
    before = signal.getsignal(number)
    with keys() as read:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            read(10.0)
    assert signal.getsignal(number) is before


def test_the_end_of_the_input_is_a_key(monkeypatch: pytest.MonkeyPatch, typist: int) -> None:
    """Else who waits for keys would ask again and again without a pause."""
    with keys() as read:
        monkeypatch.setattr(os, "read", lambda *_: b"")
        os.write(typist, b"x")
        assert read(10.0) == END
