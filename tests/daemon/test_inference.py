"""The inference thread, with a model under the test's control."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from rvsense.config import Serving
from rvsense.daemon.inference import Answered, Asked, Inference, Waiting
from rvsense.frames import RadarFrame

MakeRadar = Callable[..., RadarFrame]
PATIENCE_S = 10.0


class Desk:
    """An Inference and everything that it delivered."""

    def __init__(self, model: Any, **settings: Any) -> None:
        self.out: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self.batches: list[int] = []
        self.inference = Inference(Serving(**settings), self._deliver, model)

    def _deliver(self, batch: Sequence[Answered]) -> None:
        self.batches.append(len(batch))
        for item in batch:
            self.out.put(item)

    def take(self, count: int) -> list[Answered]:
        """The next answers."""
        return [self.out.get(timeout=PATIENCE_S) for _ in range(count)]

    @property
    def unpublished(self) -> int:
        """As the ledger counts it."""
        return self.inference.unpublished(self.out.qsize)


class Lane:
    """What an inference thread works in: which threads took it and left it."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.left: list[str] = []

    def __enter__(self) -> None:
        self.taken.append(threading.current_thread().name)

    def __exit__(self, *_: object) -> None:
        self.left.append(threading.current_thread().name)


def wait_on(frame: RadarFrame) -> Waiting:
    """A frame as the core hands it over."""
    return Waiting(frame, frame.seq)


def test_every_frame_is_answered_once_in_order(make_radar: MakeRadar, fake_model: Any) -> None:
    """Answers come in the order of the frames, by the model, in batches within the bound."""
    desk = Desk(model := fake_model(), max_waiting_frames=100, max_batch=4)
    frames = [make_radar(i) for i in range(30)]
    for frame in frames:
        assert desk.inference.submit(wait_on(frame)) is None
    desk.inference.start()
    answered = desk.take(30)
    desk.inference.stop()
    assert [item.waiting.frame for item in answered] == frames
    assert all(item.model is model and item.answer.label == "car" for item in answered)
    assert desk.out.empty()
    assert max(map(len, model.batches)) == 4


def test_without_a_model_the_answer_says_so(make_radar: MakeRadar) -> None:
    """`no_model` names no model."""
    desk = Desk(None)
    desk.inference.start()
    desk.inference.submit(wait_on(make_radar(0)))
    (item,) = desk.take(1)
    desk.inference.stop()
    assert (item.model, item.answer.abstain, item.answer.probs) == (None, "no_model", {})


def test_overflow_hands_back_the_oldest(make_radar: MakeRadar, fake_model: Any) -> None:
    """Beyond the bound the oldest waiting frame comes back, one for each frame too many."""
    desk = Desk(fake_model(), max_waiting_frames=3)
    dropped = [desk.inference.submit(wait_on(make_radar(i))) for i in range(5)]
    assert [item.frame.seq if item else None for item in dropped] == [None, None, None, 0, 1]
    desk.inference.start()
    assert [item.waiting.frame.seq for item in desk.take(3)] == [2, 3, 4]
    desk.inference.stop()


def test_a_swap_takes_effect_between_batches(make_radar: MakeRadar, fake_model: Any) -> None:
    """The batch in the works keeps its model and names it; the next has the new one."""
    old, new = fake_model("old", open_gate=False), fake_model("new")
    desk = Desk(old, max_batch=2)
    for i in range(5):
        desk.inference.submit(wait_on(make_radar(i)))
    desk.inference.start()
    assert old.entered.wait(PATIENCE_S)
    desk.inference.swap(new)
    assert desk.inference.model is new
    old.gate.set()
    assert [item.model.published.id for item in desk.take(5) if item.model] == [
        *("old", "old"),
        *("new", "new", "new"),
    ]
    desk.inference.stop()


def test_the_works_count_as_their_frames(make_radar: MakeRadar, fake_model: Any) -> None:
    """A batch under way counts with every frame in it, not as one."""
    model = fake_model(open_gate=False)
    desk = Desk(model, max_batch=4)
    for i in range(6):
        desk.inference.submit(wait_on(make_radar(i)))
    desk.inference.start()
    assert model.entered.wait(PATIENCE_S)
    assert desk.inference.waiting == desk.unpublished == 6
    model.gate.set()
    desk.take(6)
    desk.inference.stop()
    assert desk.inference.waiting == desk.unpublished == 0


def test_the_count_is_right_at_every_instant(make_radar: MakeRadar, fake_model: Any) -> None:
    """Submitted = dropped + taken out + unpublished, however the threads interleave."""
    desk = Desk(fake_model(), max_waiting_frames=5, max_batch=3)
    desk.inference.start()
    submitted = gone = 0
    for i in range(3000):
        submitted += 1
        gone += desk.inference.submit(wait_on(make_radar(i))) is not None
        assert submitted == gone + desk.unpublished
        while i % 3 == 0 and not desk.out.empty():
            desk.out.get()
            gone += 1
        assert submitted == gone + desk.unpublished
    desk.inference.stop()
    assert submitted == gone + desk.out.qsize()


def test_one_bad_frame_costs_only_its_own_answer(make_radar: MakeRadar, fake_model: Any) -> None:
    """A model that raises for a frame of a batch is asked again for each; one goes unanswered."""
    model = fake_model()
    frames = [make_radar(i, heatmap=make_radar(i).heatmap.copy()) for i in range(4)]
    model.poison = [frames[2].heatmap]
    desk = Desk(model, max_batch=4)
    for frame in frames:
        desk.inference.submit(wait_on(frame))
    desk.inference.start()
    answered = desk.take(4)
    assert [item.answer.label for item in answered] == ["car", "car", None, "car"]
    assert [item.model is model for item in answered] == [True, True, False, True]
    assert desk.inference.errors == 1
    desk.inference.submit(wait_on(frames[0]))
    assert desk.take(1)[0].answer.label == "car"
    desk.inference.stop()


class Device:
    """Room for so many frames at once; what is taken is free again when nothing holds it."""

    def __init__(self, frames: int, error: type[Exception]) -> None:
        self.free, self.error = frames, error

    def take(self) -> Any:
        """Room for a frame."""
        if self.free == 0:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 MiB")
        self.free -= 1
        taken = object.__new__(Taken)
        taken.device = self
        return taken


class Taken:
    """Room that is given back."""

    device: Device

    def __del__(self) -> None:
        self.device.free += 1


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
@pytest.mark.parametrize("room", [0, 1])
def test_memory_for_one_frame_is_enough(
    make_radar: MakeRadar, fake_model: Any, room: int, error: type[Exception]
) -> None:
    """A batch that does not fit is answered frame by frame; a frame that does not fit `no_model`.

    By then nothing of the batch is held any more, and the thread goes on.
    """
    model, device = fake_model(), Device(room, error)
    whole = model.classify

    def classify(heatmaps: Sequence[Any]) -> list[Any]:
        taken: list[Any] = []
        for _ in heatmaps:
            taken.append(device.take())  # as a network holds its layers
        answers: list[Any] = whole(heatmaps)
        return answers

    model.classify = classify
    desk = Desk(model, max_batch=4)
    for i in range(4):
        desk.inference.submit(wait_on(make_radar(i)))
    desk.inference.start()
    answered = desk.take(4)
    assert [item.answer.abstain for item in answered] == [None if room else "no_model"] * 4
    assert [item.model is model for item in answered] == [bool(room)] * 4
    assert desk.inference.errors == (0 if room else 4)
    device.free = 4
    desk.inference.submit(wait_on(make_radar(4)))
    assert desk.take(1)[0].answer.label == "car"
    desk.inference.stop()


def test_a_model_that_gives_too_few_answers_is_an_error(
    make_radar: MakeRadar, fake_model: Any
) -> None:
    """Answers that do not fit their frames are never shifted onto others."""
    model = fake_model()
    model.classify = lambda heatmaps: []
    desk = Desk(model)
    desk.inference.start()
    desk.inference.submit(wait_on(make_radar(0)))
    (item,) = desk.take(1)
    desk.inference.stop()
    assert (item.answer.abstain, item.model, desk.inference.errors) == ("no_model", None, 1)


def test_requests_are_answered_and_bounded(make_radar: MakeRadar, fake_model: Any) -> None:
    """A request gets its answer; too many at once are told so; one that raises harms nobody."""
    desk = Desk(model := fake_model(), max_waiting_frames=2)
    replies: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()

    def fail(*_: Any) -> None:
        raise RuntimeError("the requester is gone")

    heatmap = make_radar(0).heatmap
    assert desk.inference.ask(Asked(heatmap, fail))
    assert desk.inference.ask(Asked(heatmap, lambda *reply: replies.put(reply)))
    assert not desk.inference.ask(Asked(heatmap, fail))
    desk.inference.start()
    answer, by = replies.get(timeout=PATIENCE_S)
    assert (answer.label, by) == ("car", model)
    desk.inference.submit(wait_on(make_radar(1)))
    assert desk.take(1)[0].answer.label == "car"
    desk.inference.stop()
    assert desk.inference.errors == 1


def test_stop_answers_what_waits(make_radar: MakeRadar, fake_model: Any) -> None:
    """Frames and requests that were taken in are answered before the thread ends."""
    desk = Desk(fake_model(), max_batch=2)
    replies: list[Any] = []
    for i in range(5):
        desk.inference.submit(wait_on(make_radar(i)))
    for _ in range(3):
        desk.inference.ask(Asked(make_radar(0).heatmap, lambda *reply: replies.append(reply)))
    desk.inference.start()
    desk.inference.stop()
    assert [item.waiting.frame.seq for item in desk.take(5)] == [0, 1, 2, 3, 4]
    assert len(replies) == 3
    assert not any(thread.name == "inference" for thread in threading.enumerate())


def test_settings_change_while_running(make_radar: MakeRadar, fake_model: Any) -> None:
    """A reload's bounds hold from the next frame on."""
    desk = Desk(fake_model(), max_waiting_frames=5)
    desk.inference.settings = Serving(max_waiting_frames=1)
    assert desk.inference.submit(wait_on(make_radar(0))) is None
    dropped = desk.inference.submit(wait_on(make_radar(1)))
    assert dropped is not None
    assert dropped.frame.seq == 0


@pytest.mark.parametrize("count", [0, 1])
def test_an_idle_desk_stops(count: int, make_radar: MakeRadar, fake_model: Any) -> None:
    """Stop returns though nothing ever came."""
    desk = Desk(fake_model())
    desk.inference.start()
    for i in range(count):
        desk.inference.submit(wait_on(make_radar(i)))
        desk.take(1)
    desk.inference.stop()
    assert desk.batches == [1] * count


def test_answers_are_made_in_the_lane_and_nothing_else_is(
    make_radar: MakeRadar, fake_model: Any
) -> None:
    """The thread takes it once, for as long as it answers; who only hands over stays outside."""
    lane = Lane()
    inference = Inference(Serving(), lambda _: None, fake_model(), lane)
    inference.submit(wait_on(make_radar(0)))
    assert lane.taken == []
    inference.start()
    inference.stop()
    assert (lane.taken, lane.left) == (["inference"], ["inference"])


def test_lock_step_drops_nothing_that_one_message_brings_in(
    make_radar: MakeRadar, fake_model: Any
) -> None:
    """Frames that waited for a lost one come all at once; `python -m tests.simulate --seed 71`."""
    answered: list[Answered] = []
    settings = Serving(max_waiting_frames=2)
    inference = Inference(settings, answered.extend, fake_model(), lossless=True)
    frames = [make_radar(i) for i in range(9)]
    assert [inference.submit(wait_on(frame)) for frame in frames] == [None] * 9
    inference.start()
    inference.stop()
    assert [item.waiting.frame for item in answered] == frames
