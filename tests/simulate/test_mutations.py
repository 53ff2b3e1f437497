"""Bugs that are planted in the daemon: the simulation must find each within a few seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import pytest

from rvsense.daemon import models as loading
from rvsense.daemon import pairing
from rvsense.daemon.exam_store import ExamStore
from rvsense.daemon.inference import Inference
from rvsense.daemon.landing import Landing
from rvsense.daemon.learner_process import LearnerProcess
from rvsense.daemon.order import Arrival, Reorder
from rvsense.daemon.outbox import Outbox
from rvsense.daemon.pairing import Pairer
from rvsense.daemon.publisher import Publisher
from rvsense.daemon.requests import Requests
from rvsense.learner import checkpoint
from rvsense.published import PublishedModel
from tests.simulate.run import run_scenario
from tests.simulate.scenario import Scenario, draw

Plant = Callable[[pytest.MonkeyPatch], None]
WITHIN_SEEDS = 40


@dataclass(frozen=True, slots=True)
class Bug:
    """How it is planted, what finds it, and the fault that it takes to show."""

    plant: Plant
    guarantee: str
    fault: str = ""
    remote: bool = False


def idle_too_long(patch: pytest.MonkeyPatch) -> None:
    """A silent stream holds up the other for three times the idle timeout."""
    made = Pairer.__init__

    def make(self: Pairer, settings: Any) -> None:
        made(self, settings)
        self._idle_ns *= 3

    patch.setattr(Pairer, "__init__", make)


def lost_at_swap(patch: pytest.MonkeyPatch) -> None:
    """Frames that wait while a model is swapped are forgotten."""
    swap = Inference.swap

    def forget(self: Inference, model: Any) -> None:
        self._waiting.clear()
        swap(self, model)

    patch.setattr(Inference, "swap", forget)


def silent_overload(patch: pytest.MonkeyPatch) -> None:
    """What is pushed out under overload is not said."""
    submit = Inference.submit

    def drop(self: Inference, waiting: Any) -> None:
        submit(self, waiting)

    patch.setattr(Inference, "submit", drop)


def silent_overflow(patch: pytest.MonkeyPatch) -> None:
    """Pairing makes room without an entry in the ledger."""

    def make_room(self: Pairer, lane: Any, out: Any) -> None:
        while len(lane.frames) > self._max_frames:
            lane.pop_oldest()

    patch.setattr(Pairer, "_make_room", make_room)


def silent_backlog(patch: pytest.MonkeyPatch) -> None:
    """The learner's outbox forgets to count what it pushes out."""
    patch.setattr(Outbox, "_push_out", lambda self: self._waiting.popleft())


def twice(patch: pytest.MonkeyPatch) -> None:
    """Some results go out a second time."""
    answer = Publisher.answer

    def answer_twice(self: Publisher, answered: Any, *, drift: bool) -> Any:
        result = answer(self, answered, drift=drift)
        return answer(self, answered, drift=drift) if result.seq % 50 == 9 else result

    patch.setattr(Publisher, "answer", answer_twice)


def unchecked(patch: pytest.MonkeyPatch) -> None:
    """A model's files are not compared with their checksums."""
    patch.setattr(loading, "open_model", lambda path: PublishedModel(path, manifest_of(path)))


def manifest_of(path: Any) -> Any:
    """A manifest as it is."""
    import json

    return json.loads((path / "manifest.json").read_text())


def unordered(patch: pytest.MonkeyPatch) -> None:
    """Frames are answered as they come."""
    patch.setattr(Reorder, "push", lambda self, frame, now_ns: ([Arrival(frame, now_ns)], None))


def unsynced(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint's chunks are announced before they are on the disk."""
    patch.setattr(checkpoint, "_write_synced", lambda path, data: path.write_bytes(data))


def blocking_exam(patch: pytest.MonkeyPatch) -> None:
    """The exam is written by the thread that takes frames in."""
    patch.setattr(ExamStore, "keep", lambda self, kept: self._follow(kept))


def leaking_window(patch: pytest.MonkeyPatch) -> None:
    """After a link broke, what was on its way counts as on its way for ever."""
    patch.setattr(Outbox, "lost", lambda self: None)


def no_restart(patch: pytest.MonkeyPatch) -> None:
    """A learner that ended stays ended."""
    patch.setattr(LearnerProcess, "_start_later", lambda self, now: 1.0)


def blind_to_jumps(patch: pytest.MonkeyPatch) -> None:
    """A clock that was set back is never seen."""
    patch.setattr(pairing, "CLOCK_STEP_NS", 10**20)
    patch.setattr(pairing, "RESTART_FRAMES", 10**9)


def deaf_landing(patch: pytest.MonkeyPatch) -> None:
    """What fetches models does not hear that the link is there again."""
    patch.setattr(Landing, "linked", lambda self: None)


def no_reply(patch: pytest.MonkeyPatch) -> None:
    """Classifications that were asked for are made, and not sent."""
    patch.setattr(Requests, "flush", lambda self: None)


BUGS = [
    Bug(idle_too_long, "P6", "silence"),
    Bug(lost_at_swap, "S1", "overload"),
    Bug(silent_overload, "S1", "overload"),
    Bug(silent_overflow, "P8", "silence"),
    Bug(silent_backlog, "pairs for the learner", "crash"),
    Bug(twice, "S1"),
    Bug(unchecked, "S4", "damaged_model"),
    Bug(unordered, "order", "disorder"),
    Bug(unsynced, "L6", "power_cut"),
    Bug(blocking_exam, "S2"),
    Bug(leaking_window, "liveness", "cut", remote=True),
    Bug(no_restart, "liveness", "crash"),
    Bug(blind_to_jumps, "liveness", "jump"),
    Bug(deaf_landing, "liveness", "cut", remote=True),
    Bug(no_reply, "requests", "requests"),
]


def fitting(bug: Bug) -> Iterator[Scenario]:
    """Scenarios in which the bug can show."""
    for scenario in map(draw, count()):
        names = {fault.name for fault in scenario.faults}
        if bug.fault in (*names, "") and scenario.remote >= bug.remote and scenario.config.learn:
            yield scenario


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the guarantee that it breaks, and without it the same seed passes."""
    bug.plant(monkeypatch)
    for scenario in islice(fitting(bug), WITHIN_SEEDS):
        failure = run_scenario(scenario).failure
        if f"broken: {bug.guarantee}:" in failure:
            break
    else:
        pytest.fail(f"not found within {WITHIN_SEEDS} seeds; the last said {failure!r}")
    monkeypatch.undo()
    assert run_scenario(scenario).failure == ""
