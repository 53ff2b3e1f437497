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


def test_a_log_gets_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar where nobody looks: a line now and then, and no time to go out of an earlier run."""
    with progress_bar("learning", 50.0) as advance:
        advance(40.0)
        for _ in range(1000):
            advance(0.01)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("learning  80%, ")
    assert lines[0].endswith("? to go")
    assert lines[-1].startswith("learning 100%, ")
    assert "?" not in lines[-1]
