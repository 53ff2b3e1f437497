"""How a replay ends: transcripts of what is seen (>>) and what is done (<<)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.daemon.ending import Do, Ending, Facts, Phase


class Script:
    """Facts that change as told, and an Ending that sees them."""

    def __init__(self, *, learner: bool = True) -> None:
        self.ending = Ending(patience_s=5.0)
        self.facts: dict[str, Any] = {
            "now_s": 0.0,
            "sent": None,
            "arrived": 0,
            "quiet": True,
            "waiting": 0,
            "learner": learner,
            "outbox_empty": True,
            "drained": False,
            "loader_idle": True,
        }

    def see(self, **changes: Any) -> list[str]:
        """>> the world has changed; returns << what is to be done."""
        self.facts |= changes
        return [todo.value for todo in self.ending.advance(Facts(**self.facts))]

    @property
    def phase(self) -> Phase:
        """Where the ending stands."""
        return self.ending.phase


def test_messages_of_others_do_not_end_a_replay_early() -> None:
    """The count may be reached by somebody else's messages while the player's still come in."""
    script = Script(learner=False)
    assert script.see(sent=100, arrived=100, quiet=False) == []
    assert script.phase is Phase.ARRIVING
    assert script.see(arrived=103, quiet=True) == ["flush"]


def test_a_learner_that_starts_slowly_costs_no_message() -> None:
    """What is held back on purpose is not missing, however long; what is read and stays away is."""
    script = Script()
    assert script.see(sent=100, arrived=10, reading=False) == []
    assert script.see(now_s=60.0) == []
    assert script.see(now_s=64.9, reading=True) == []
    assert script.ending.given_up == 0
    assert script.see(now_s=65.1) == ["flush"]
    assert script.ending.given_up == 90


def test_the_whole_way() -> None:
    """Each phase ends by its own fact, and each thing is done once."""
    script = Script()
    assert script.see(arrived=50) == []
    assert script.see(sent=100, arrived=90) == []
    assert script.phase == "arriving"
    assert script.see(arrived=100, waiting=3, outbox_empty=False) == ["flush"]
    assert script.see() == []
    assert script.phase == "answering"
    assert script.see(waiting=0) == []
    assert script.see(outbox_empty=True) == ["drain"]
    assert script.see(loader_idle=False) == []
    assert script.phase == "learning"
    assert script.see(drained=True) == []
    assert script.phase == "loading"
    assert script.see(loader_idle=True) == ["report"]
    assert script.phase == "done"
    assert script.see() == []


def test_without_a_learner() -> None:
    """Nothing is drained and no outbox is waited for."""
    script = Script(learner=False)
    assert script.see(sent=10, arrived=10, outbox_empty=False) == ["flush"]
    assert script.see() == ["report"]
    assert script.phase == "done"


def test_what_the_flush_brings_is_answered_first() -> None:
    """After the flush the ending looks again before it goes on, though all seemed answered."""
    script = Script()
    assert script.see(sent=1, arrived=1, waiting=0) == ["flush"]
    assert script.phase == "answering"
    assert script.see(waiting=8, outbox_empty=False) == []
    assert script.phase == "answering"


def test_missing_messages_are_given_up_and_counted() -> None:
    """Patience counts from the last arrival; what is missing then is said."""
    script = Script()
    script.see(sent=100, arrived=90, now_s=10.0)
    assert script.see(now_s=14.9) == []
    assert script.see(now_s=15.0, arrived=95) == []
    assert script.see(now_s=20.0) == []
    assert script.see(now_s=20.1) == ["flush"]
    assert script.ending.given_up == 5


def test_an_empty_replay_ends_at_once() -> None:
    """A player that sent nothing is followed to its end all the same."""
    script = Script(learner=False)
    assert script.see(sent=0) == ["flush"]
    assert script.see() == ["report"]
    assert script.ending.given_up == 0


@pytest.mark.parametrize("more", [{}, {"sent": 9, "arrived": 9}])
def test_a_cut_in_lockstep_is_the_end(more: dict[str, Any]) -> None:
    """Wherever the replay stands it has failed, and is not reported as one that went through."""
    script = Script()
    script.see(**more)
    assert script.see(cut=True, drained=True) == ["fail"]
    assert script.phase != "done"


def test_a_cut_after_the_end_is_none() -> None:
    """The learner may be stopped once everything has come back."""
    script = Script()
    assert script.see(sent=1, arrived=1) == ["flush"]
    assert script.see() == ["drain"]
    assert script.see(drained=True) == ["report"]
    assert script.see(cut=True) == []


FACTS = st.fixed_dictionaries(
    {
        "sent": st.one_of(st.none(), st.just(5)),
        "arrived": st.integers(0, 6),
        "waiting": st.integers(0, 1),
        "outbox_empty": st.booleans(),
        "drained": st.booleans(),
        "loader_idle": st.booleans(),
    }
)


@given(st.lists(FACTS, max_size=40), st.booleans())
def test_never_backwards_and_nothing_twice(seen: list[dict[str, Any]], learner: bool) -> None:
    """Whatever the facts: phases only advance, each action comes at most once and in order."""
    script, phases = Script(learner=learner), list(Phase)
    done: list[str] = []
    for now_s, facts in enumerate(seen):
        before = phases.index(script.phase)
        done += script.see(now_s=now_s / 10, **facts)
        assert phases.index(script.phase) >= before
    order = [todo.value for todo in Do if todo is not Do.FAIL and (learner or todo is not Do.DRAIN)]
    assert done == order[: len(done)]


@pytest.mark.parametrize("phase", Phase)
def test_phases_are_the_documented_ones(phase: Phase) -> None:
    """`/statusz` shows these words."""
    assert phase.value in ["playing", "arriving", "answering", "learning", "loading", "done"]
