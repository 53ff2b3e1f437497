"""Niceness that counts: the learner's session gives way, a session of others is left alone."""

import errno
import os
import subprocess
import sys

import pytest

from rvsense.learner import yielding

STEP_BACK = """
import os
from rvsense.learner.yielding import GROUP, yield_to_serving

def told():
    niceness = os.nice(0)
    try:
        return niceness, GROUP.read_text().split()[-1:]  # says nothing in some containers
    except OSError:
        return niceness, []

print(*told())
yield_to_serving(7)
print(*told())
"""


@pytest.mark.parametrize("own_session", [True, False])
def test_the_group_is_nice_where_it_is_its_own(own_session: bool) -> None:
    """The process always; its session's group when it leads the session and there are groups."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", STEP_BACK],
        start_new_session=own_session,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = (line.split(maxsplit=1) for line in ran.stdout.splitlines())
    assert int(after[0]) == min(int(before[0]) + 7, 19)
    changes = own_session and before[1] != "[]"
    assert after[1] == ("['7']" if changes else before[1])


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_a_group_that_was_just_changed_is_asked_once_more(
    refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two learners that start together: the kernel takes one change in a tenth of a second."""
    tries: list[str] = []

    class Busy:
        """The kernel's file."""

        def write_text(self, text: str) -> None:
            """Refuse the first times."""
            tries.append(text)
            if len(tries) <= refusals:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(yielding, "GROUP", Busy())
    monkeypatch.setattr(yielding, "PAUSE_S", 0.0)
    monkeypatch.setattr(os, "nice", lambda by: by)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    yielding.yield_to_serving(7)
    assert tries == ["7"] * min(refusals + 1, 2)
