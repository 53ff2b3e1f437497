"""When the daemon is live and ready: forward progress, not mere existence."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.daemon.health import Health, Limits, Snapshot, examine

NOW_S = 1000.0
FINE = Snapshot(
    turned_s={"io": NOW_S, "inference": NOW_S},
    served_s=NOW_S,
    waiting_frames=0,
    has_model=True,
    learner="up",
    learner_heard_s=NOW_S,
)


def verdict(health: Health) -> tuple[bool, bool, tuple[str, ...]]:
    """Live, ready and what fails."""
    return health.live, health.ready, health.degraded


def test_idle_is_healthy() -> None:
    """A daemon that had no frame for an hour is live, ready and not degraded."""
    idle = replace(FINE, served_s=NOW_S - 3600)
    assert verdict(examine(idle, NOW_S)) == (True, True, ())


@pytest.mark.parametrize("loop", ["io", "inference"])
def test_a_stuck_loop_is_not_live(loop: str) -> None:
    """A loop that has not turned within its limit ends liveness and readiness, by name."""
    stuck = replace(FINE, turned_s={**FINE.turned_s, loop: NOW_S - 10.5})
    assert verdict(examine(stuck, NOW_S)) == (False, False, (f"loop {loop}",))
    late = replace(FINE, turned_s={**FINE.turned_s, loop: NOW_S - 10.0})
    assert examine(late, NOW_S).live


def test_frames_without_answers_are_not_ready() -> None:
    """Frames that wait while nothing is answered end readiness, though every loop turns."""
    waiting = replace(FINE, waiting_frames=64, served_s=NOW_S - 5.5)
    assert verdict(examine(waiting, NOW_S)) == (True, False, ("answers",))
    assert examine(replace(waiting, served_s=NOW_S - 4.0), NOW_S).ready


def test_stopping_is_not_ready() -> None:
    """Who takes no more frames in is not ready, and still live."""
    assert verdict(examine(replace(FINE, stopping=True), NOW_S)) == (True, False, ("intake",))


@pytest.mark.parametrize(
    ("snapshot", "check"),
    [
        (replace(FINE, learner="restarting"), "learner"),
        (replace(FINE, learner="starting"), "learner"),
        (replace(FINE, learner_heard_s=NOW_S - 61), "learner"),
        (replace(FINE, has_model=False), "model"),
    ],
)
def test_degraded_still_serves(snapshot: Snapshot, check: str) -> None:
    """Learner and model only degrade: every frame still gets its result."""
    assert verdict(examine(snapshot, NOW_S)) == (True, True, (check,))


@pytest.mark.parametrize(
    ("has_model", "answered"), [(True, "by the last model"), (False, "no_model")]
)
def test_a_learner_out_of_reach_is_told_with_its_time(has_model: bool, answered: str) -> None:
    """A daemon cut off from its learner is ready, and says since when and what it answers with."""
    cut = replace(FINE, learner="unreachable", learner_note="since T", has_model=has_model)
    health = examine(cut, NOW_S)
    assert health.ready
    assert "learner" in health.degraded
    reasons = {check.name: check.reason for check in health.checks}
    assert reasons["learner"] == f"unreachable since T; frames are answered {answered}"


def test_a_refusal_is_told_with_its_reason() -> None:
    """As a sentence."""
    refused = replace(FINE, learner="refused", learner_note="lock-step is with one alone")
    reasons = {check.name: check.reason for check in examine(refused, NOW_S).checks}
    assert reasons["learner"].startswith("refused: lock-step is with one alone;")


def test_no_learning_is_not_degraded() -> None:
    """A learner that was not asked for is not missed."""
    off = replace(FINE, learner="off", learner_heard_s=0.0)
    assert verdict(examine(off, NOW_S)) == (True, True, ())


def test_reasons_are_told() -> None:
    """The JSON names every check with its reason, failing or not."""
    stuck = replace(FINE, waiting_frames=3, served_s=NOW_S - 7, learner="restarting")
    told = json.loads(json.dumps(examine(stuck, NOW_S).as_map()))
    reasons = {check["name"]: check["reason"] for check in told["checks"]}
    assert (told["live"], told["ready"]) == (True, False)
    assert reasons["answers"] == "3 frames wait, none answered for 7 s"
    assert reasons["learner"] == "restarting; frames are answered by the last model"
    assert reasons["loop io"] == "turning"


stamps = st.floats(NOW_S - 100, NOW_S)
snapshots = st.builds(
    Snapshot,
    turned_s=st.fixed_dictionaries({"io": stamps, "inference": stamps}),
    served_s=stamps,
    waiting_frames=st.integers(0, 5),
    has_model=st.booleans(),
    learner=st.sampled_from(["off", "starting", "up", "restarting"]),
    learner_heard_s=stamps,
    player=st.sampled_from(["none", "playing", "done"]),
    stopping=st.booleans(),
)


@given(snapshot=snapshots, later_s=st.floats(0, 100), limit_s=st.floats(0.1, 100))
def test_time_alone_heals_nothing(snapshot: Snapshot, later_s: float, limit_s: float) -> None:
    """Ready implies live, and without progress the verdict only gets worse as time passes."""
    limits = Limits(limit_s, limit_s, limit_s)
    now, later = examine(snapshot, NOW_S, limits), examine(snapshot, NOW_S + later_s, limits)
    assert now.live >= now.ready
    assert (now.live, now.ready) >= (later.live, later.ready)
    assert set(now.degraded) <= set(later.degraded)
    assert examine(snapshot, NOW_S + 101 + limit_s, limits).live is False
