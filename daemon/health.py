"""Is the daemon alive, and can it do its work? Pure rules over a snapshot; time is passed in.

Live: every loop has turned lately. A daemon that is not live is to be killed and started again
(the watchdog); nothing outside the process can make it dead.
Ready: live, taking frames in, not stopping, and answering: frames that wait get answers.
Idle is healthy: no frames, no complaint.
No model is ready, too: the contract is one result for every radar frame, and `no_model` is one.
The learner and the model only degrade: serving never waits for learning (S2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LearnerPhase = Literal["off", "starting", "up", "restarting", "unreachable", "refused"]
PlayerPhase = Literal["none", "playing", "done"]
Gate = Literal["live", "ready", "degraded"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each kind of silence may last, in seconds."""

    loop_s: float = 10.0
    answer_s: float = 5.0
    learner_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the rules look at; stamps are seconds of one monotonic clock.

    `turned_s` is when each loop last went round, which an idle one does as well. `served_s` is
    when a radar frame was last answered or none was waiting, whichever is later: the age of the
    oldest waiting frame would not do, since overload drops the oldest. `learner_note` says since
    when a learner is unreachable, or why it refuses.
    """

    turned_s: Mapping[str, float]
    served_s: float
    waiting_frames: int
    has_model: bool
    learner: LearnerPhase
    learner_heard_s: float
    learner_note: str = ""
    player: PlayerPhase = "none"
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `gate` is what it decides: live, ready, or only how well we do."""

    name: str
    ok: bool
    reason: str
    gate: Gate


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict and what it rests on. Ready implies live."""

    live: bool
    ready: bool
    checks: tuple[Check, ...]

    @property
    def degraded(self) -> tuple[str, ...]:
        """Names of the checks that fail, whatever they decide."""
        return tuple(check.name for check in self.checks if not check.ok)

    def as_map(self) -> dict[str, Any]:
        """For /livez, /readyz and /statusz."""
        checks = [
            {"name": check.name, "ok": check.ok, "reason": check.reason, "gate": check.gate}
            for check in self.checks
        ]
        return {"live": self.live, "ready": self.ready, "checks": checks}


STANDARD_LIMITS = Limits()


def examine(snapshot: Snapshot, now_s: float, limits: Limits = STANDARD_LIMITS) -> Health:
    """Judge a snapshot taken at `now_s` or just before."""
    checks = (
        *(_loop(name, now_s - at_s, limits) for name, at_s in snapshot.turned_s.items()),
        _intake(snapshot),
        _answers(snapshot, now_s, limits),
        _model(snapshot),
        _learner(snapshot, now_s, limits),
        _player(snapshot),
    )
    failed = {check.gate for check in checks if not check.ok}
    live = "live" not in failed
    return Health(live, live and "ready" not in failed, checks)


def _loop(name: str, quiet_s: float, limits: Limits) -> Check:
    ok = quiet_s <= limits.loop_s
    reason = "turning" if ok else f"has not turned for {quiet_s:.0f} s"
    return Check(f"loop {name}", ok, reason, "live")


def _intake(snapshot: Snapshot) -> Check:
    if snapshot.stopping:
        return Check("intake", False, "stopping: no more frames are taken in", "ready")
    return Check("intake", True, "bound", "ready")


def _answers(snapshot: Snapshot, now_s: float, limits: Limits) -> Check:
    if snapshot.waiting_frames == 0:
        return Check("answers", True, "no frame waits", "ready")
    quiet_s = now_s - snapshot.served_s
    count = snapshot.waiting_frames
    waiting = "1 frame waits" if count == 1 else f"{count} frames wait"
    if quiet_s <= limits.answer_s:
        return Check("answers", True, f"{waiting}, being answered", "ready")
    return Check("answers", False, f"{waiting}, none answered for {quiet_s:.0f} s", "ready")


def _model(snapshot: Snapshot) -> Check:
    reason = "serving" if snapshot.has_model else "none yet: frames are answered no_model"
    return Check("model", snapshot.has_model, reason, "degraded")


def _learner(snapshot: Snapshot, now_s: float, limits: Limits) -> Check:
    if snapshot.learner == "off":
        return Check("learner", True, "off, as asked for", "degraded")
    if snapshot.learner != "up":
        model = "by the last model" if snapshot.has_model else "no_model"
        between = ": " if snapshot.learner == "refused" else " "
        reason = between.join(filter(None, (snapshot.learner, snapshot.learner_note)))
        return Check("learner", False, f"{reason}; frames are answered {model}", "degraded")
    quiet_s = now_s - snapshot.learner_heard_s
    ok = quiet_s <= limits.learner_s
    return Check("learner", ok, "up" if ok else f"up, but silent for {quiet_s:.0f} s", "degraded")


def _player(snapshot: Snapshot) -> Check:
    return Check("player", True, snapshot.player, "degraded")
