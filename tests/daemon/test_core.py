"""The core as transcripts: frames in (>>), effects out (<<)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvsense.config import Intake, Pairing
from rvsense.daemon.core import Core
from rvsense.daemon.effects import Classify, Effect, Examine, Learn, Refused, Teach, Truth
from rvsense.daemon.exam import LEARN_FIRST, Exam
from rvsense.daemon.places import kept_sites
from rvsense.errors import ConfigError, FrameError
from rvsense.frames import AnyFrame, CameraFrame, LabelFrame, RadarFrame, SceneObject

MakeRadar = Callable[..., RadarFrame]
MS = 1_000_000
PAIRING = Pairing(offset_s=0.0, tolerance_s=0.01, lateness_s=0.1, thin_rate_hz=0.0)
CAR, WALKER = SceneObject("car", 9.0, 0.0), SceneObject("pedestrian", 4.0, 0.1)


def new_core(*, share: float = 0.0, pairing: Pairing = PAIRING, **intake: Any) -> Core:
    """A core with tight settings."""
    return Core(replace(Intake(), **intake), pairing, Exam(share, 16))


def camera(seq: int, site: str = "east", stamp_ns: int | None = None) -> CameraFrame:
    """An image of the same rate as the radar."""
    stamp_ns = seq * 33_333_333 if stamp_ns is None else stamp_ns
    return CameraFrame(site=site, seq=seq, stamp_ns=stamp_ns, codec="jpeg", image=b"\xff\xd8")


def label(seq: int, *objects: SceneObject, **changes: Any) -> LabelFrame:
    """A label for the radar frame of this number."""
    frame = LabelFrame(site="east", seq=seq, stamp_ns=seq * 33_333_333, objects=objects)
    return replace(frame, **changes)


def said(effects: Iterable[Effect]) -> list[str]:
    """Effects in words."""
    words = []
    for effect in effects:
        match effect:
            case Classify(frame, _):
                words.append(f"classify {frame.seq}")
            case Refused(_, reason):
                words.append(f"refuse {reason}")
            case Learn(pair):
                words.append(f"learn {pair.radar_seq} {pair.camera_seq}")
            case Teach(item) | Examine(item):
                words.append(f"{type(effect).__name__.lower()} {item.label}")
            case Truth(_, _, stamp_ns, truth):
                words.append(f"truth {stamp_ns // 33_333_333} {truth}")
    return words


def test_a_radar_frame_is_answered_at_once_and_a_pair_learned_later(make_radar: MakeRadar) -> None:
    """The answer waits for no camera; the pair comes when the watermark allows."""
    core = new_core()
    assert said(core.handle(make_radar(0), 0)) == ["classify 0"]
    assert said(core.handle(camera(0), 1)) == []
    assert said(core.handle(make_radar(1), 2)) == ["classify 1"]
    assert said(core.handle(camera(1), 3)) == []
    assert said(core.flush(4)) == ["learn 0 0", "learn 1 1"]


def test_frames_out_of_order_are_answered_in_order(make_radar: MakeRadar) -> None:
    """A gap is waited for, then given up by the clock; what comes after that is refused."""
    core = new_core(reorder_wait_s=0.05)
    assert said(core.handle(make_radar(0), 0)) == ["classify 0"]
    assert said(core.handle(make_radar(2), 0)) == []
    assert said(core.handle(make_radar(2), 0)) == ["refuse duplicate"]
    assert said(core.tick(49 * MS)) == []
    assert said(core.tick(50 * MS)) == ["classify 2"]
    assert said(core.handle(make_radar(1), 51 * MS)) == ["refuse late"]


def test_a_slow_replay_pairs_as_a_fast_one(make_radar: MakeRadar) -> None:
    """A minute between the frames of a replay costs no pair; live, such a camera was silent."""
    minute_ns = 60_000 * MS

    def play(*, replaying: bool) -> list[str]:
        core, words = new_core(), []
        for seq in range(3):
            now_ns = seq * minute_ns
            words += said(core.handle(make_radar(seq), now_ns))
            words += said(core.tick(now_ns + minute_ns // 2, replaying=replaying))
            words += said(core.handle(camera(seq), now_ns + minute_ns // 2))
        return [word for word in words + said(core.flush(4 * minute_ns)) if "learn" in word]

    assert play(replaying=True) == ["learn 0 0", "learn 1 1", "learn 2 2"]
    assert play(replaying=False) == []


def test_a_label_teaches_the_head_and_tells_the_truth(make_radar: MakeRadar) -> None:
    """A training label goes to the head with its frame, before or after it; never to pairs."""
    core = new_core()
    core.handle(make_radar(0), 0)
    assert said(core.handle(label(0, CAR, CAR), 1)) == ["truth 0 car", "teach car"]
    assert said(core.handle(label(1), 2)) == ["truth 1 empty"]
    assert said(core.handle(make_radar(1), 3)) == ["classify 1", "teach empty"]


def test_a_label_that_only_scores_teaches_nothing(make_radar: MakeRadar) -> None:
    """`score` labels are compared with answers and go nowhere else."""
    core = new_core(share=0.9)
    core.handle(make_radar(0), 0)
    for _ in range(20):
        assert said(core.handle(label(0, CAR, purpose="score"), 1)) == ["truth 0 car"]
    assert said(core.handle(label(1, CAR, purpose="score"), 1)) == ["truth 1 car"]
    assert said(core.handle(make_radar(1), 2)) == ["classify 1"]


def test_a_scene_of_several_classes_is_no_example(make_radar: MakeRadar) -> None:
    """It is neither taught nor scored, whether its frame is there or not."""
    core = new_core()
    core.handle(make_radar(0), 0)
    assert core.handle(label(0, CAR, WALKER), 1) == []
    assert core.handle(label(1, CAR, WALKER), 2) == []
    assert said(core.handle(make_radar(1), 3)) == ["classify 1"]


def test_a_share_of_the_labels_is_kept_for_the_exam(make_radar: MakeRadar) -> None:
    """What the exam keeps the learner never gets, and each label goes to one of the two."""
    core = new_core(share=0.5)
    for seq in range(30):
        core.handle(make_radar(seq), 0)
        (effect,) = (e for e in core.handle(label(seq, CAR), 0) if isinstance(e, Teach | Examine))
        assert isinstance(effect, Teach) or seq >= LEARN_FIRST
    assert len(core.exam.items()) == 15


def test_one_site_too_many_is_refused(make_radar: MakeRadar) -> None:
    """The bound on sites holds for every kind of frame, and the others go on."""
    core = new_core(max_sites=2)
    core.handle(make_radar(0, site="a"), 0)
    core.handle(camera(0, site="b"), 0)
    for frame in (make_radar(0, site="c"), camera(0, "c"), label(0, site="c")):
        with pytest.raises(FrameError, match="too_many_sites"):
            core.handle(frame, 0)
    assert said(core.handle(make_radar(1, site="a"), 0)) == ["classify 1"]
    assert set(core.sites) == {"a", "b"}


def test_a_site_that_is_named_finds_its_place(make_radar: MakeRadar) -> None:
    """Whoever makes up names has the rest of the places; which sites are kept never shrinks."""
    intake = Intake(max_sites=3, sites="a, b")
    core = Core(intake, PAIRING, Exam(0.0, 16), kept_sites(intake))
    core.handle(make_radar(0, site="a"), 0)
    core.handle(make_radar(0, site="made-up"), 0)
    for name in ("made-up-2", "made-up-3"):
        with pytest.raises(FrameError, match="too_many_sites"):
            core.handle(make_radar(0, site=name), 0)
    core.handle(make_radar(0, site="b"), 0)
    assert set(core.sites) == {"a", "b", "made-up"}


@pytest.mark.parametrize(
    ("sites", "said"),
    [("a, b c", "'b c' is no name"), ("a,b,c", "names 3 sites, and intake.max_sites is 2")],
)
def test_names_that_no_site_can_have_are_refused(sites: str, said: str) -> None:
    """And more of them than there are places."""
    with pytest.raises(ConfigError, match=said):
        kept_sites(Intake(max_sites=2, sites=sites))
    assert kept_sites(Intake(max_sites=2, sites=" b,,a ,b")) == {"a", "b"}


def test_pairs_are_thinned_by_stamp_for_the_learner_only(make_radar: MakeRadar) -> None:
    """At 5 Hz every sixth pair goes on; the others are counted, and all frames answered."""
    core = new_core(pairing=replace(PAIRING, thin_rate_hz=5.0))
    effects: list[Effect] = []
    for seq in range(60):
        effects += core.handle(make_radar(seq), seq)
        effects += core.handle(camera(seq), seq)
    effects += core.flush(99)
    learned = [effect for effect in effects if isinstance(effect, Learn)]
    assert len(learned) == 10
    assert core.sites["east"].thinned == 50
    assert sum(isinstance(effect, Classify) for effect in effects) == 60


frames = st.lists(
    st.tuples(
        st.sampled_from(["radar", "camera", "label", "tick"]),
        st.integers(0, 30),
        st.integers(-4, 4),
        st.sampled_from(["east", "west"]),
    ),
    max_size=60,
)


def play(make_radar: MakeRadar, script: Any, without: str = "") -> list[Effect]:
    """Run a script through a new core, leaving one kind of frame out."""
    core = new_core(share=0.3, max_sites=2)
    for site in ("east", "west"):  # sites exist, so that no kind of frame opens them
        core.handle(label(0, CAR, WALKER, site=site), 0)
    effects: list[Effect] = []
    for now, (kind, seq, jitter_ms, site) in enumerate(script):
        if kind == without:
            continue
        stamp_ns = seq * 33_333_333 + jitter_ms * MS
        frame: AnyFrame
        if kind == "tick":
            effects += core.tick(now * 20 * MS)
            continue
        if kind == "radar":
            frame = make_radar(seq, site=site, stamp_ns=stamp_ns)
        elif kind == "camera":
            frame = camera(seq, site, stamp_ns)
        else:
            frame = label(seq, CAR, site=site, stamp_ns=stamp_ns)
        effects += core.handle(frame, now * 20 * MS)
    return effects + core.flush(10**12)


def serving(effects: list[Effect]) -> list[tuple[Any, ...]]:
    """What concerns answers, comparably."""
    kept = [e for e in effects if isinstance(e, Classify | Refused)]
    return [
        (e.frame.site, e.frame.seq, e.received_ns) if isinstance(e, Classify) else (e.site,)
        for e in kept
    ]


@given(frames)
@settings(max_examples=150, deadline=None)
def test_cameras_and_labels_never_touch_serving(make_radar: MakeRadar, script: Any) -> None:
    """Without any camera frame, or any label, the frames answered and refused are the same."""
    whole = serving(play(make_radar, script))
    assert serving(play(make_radar, script, without="camera")) == whole
    assert serving(play(make_radar, script, without="label")) == whole


@given(frames)
@settings(max_examples=100, deadline=None)
def test_labels_never_reach_the_encoder(make_radar: MakeRadar, script: Any) -> None:
    """Without any label the pairs to learn from are the same; without cameras there are none."""

    def learned(without: str) -> list[tuple[str, int, int]]:
        effects = play(make_radar, script, without)
        return [
            (e.pair.site, e.pair.radar_seq, e.pair.camera_seq)
            for e in effects
            if isinstance(e, Learn)
        ]

    assert learned("label") == learned("")
    assert learned("camera") == []


@given(frames)
@settings(max_examples=100, deadline=None)
def test_every_radar_frame_is_answered_or_refused(make_radar: MakeRadar, script: Any) -> None:
    """The ledger's first line: radar frames in = Classify + Refused, once all is flushed."""
    frames_in = sum(kind == "radar" for kind, *_ in script)
    assert len(serving(play(make_radar, script))) == frames_in
