"""Progress: shown on a terminal, and not misled by what an earlier run did."""

import io
import sys

import pytest

from rvsense.learner.offline.progress import progress_bar


class Terminal(io.StringIO):
    """Takes all that is written."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_what_an_earlier_run_did_is_no_sign_of_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar begins there, and the time that remains is not known yet."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("learning", 50.0) as advance:
        advance(40.0)
        assert " learning  80% |" in screen.getvalue()
        assert screen.getvalue().endswith("? to go")
        advance(10.0)
    assert " learning 100% |" in screen.getvalue()


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """A log stays free of it."""
    with progress_bar("learning", 50.0) as advance:
        advance(40.0)
        advance(10.0)
    assert capsys.readouterr().err == ""
