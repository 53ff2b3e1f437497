"""A real learner process driven over a real socket."""

import io
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rvsense import link, published
from rvsense.config import Learning
from rvsense.link import Label, Pair
from rvsense.replay.simulate.plan import SequencePlan
from rvsense.replay.simulate.scene import Scene
from tests.learner.running import learner

pytestmark = pytest.mark.process


@pytest.fixture
def quick(settings: Learning) -> Learning:
    """The edge preset with a teacher of no wisdom: nothing here depends on what is learned."""
    return replace(settings, teacher_weights="random", pool_pairs=24, publish_every_steps=4)


def lockstep_run(
    learning: Learning, state_dir: Path, make_pair: Callable[[int], Pair]
) -> dict[str, Any]:
    """One whole run of 24 pairs; what `drained` says."""
    with learner(learning, state_dir) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        for i in range(24):
            peer.say(link.pack_pair(make_pair(i)))
        peer.say(link.pack("drain"))
        drained = peer.until("drained")
        peer.say(link.pack("stop"))
        peer.until("stopped")
        assert peer.process.wait(20) == 0
    return drained


def test_lockstep_gives_the_same_weights_every_time(
    quick: Learning, tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    """Two processes, the same seed and messages: the same number of steps, the same bits."""
    runs = [lockstep_run(quick, tmp_path / name, make_pair) for name in ("a", "b")]
    assert runs[0] == runs[1]
    assert runs[0]["pairs"] == 24
    assert runs[0]["step"] > 4
    digests = [
        [published.open_model(p).sha256 for p in published.list_models(tmp_path / name / "models")]
        for name in ("a", "b")
    ]
    assert digests[0]
    assert digests[0] == digests[1]


def test_conversation(
    quick: Learning,
    tmp_path: Path,
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
) -> None:
    """Every pair and label is acknowledged, also a broken one; a model with a head comes out."""
    with learner(quick, tmp_path) as peer:
        peer.say(link.pack_pair(make_pair(99)))  # before hello: not taken
        peer.say(link.pack("hello", lockstep=False, daemon="test", life="1"))
        ready = peer.until("ready")
        assert (ready["preset"], ready["step"], ready["restored"]) == ("edge", 0, False)
        assert ready["teacher_weights"] == "random"
        for i in range(12):
            peer.say(link.pack_label(make_label(i)))
            peer.say(link.pack_pair(make_pair(i)))
        peer.say(link.pack_pair(replace(make_pair(12), image=b"\xff\xd8 torn")))
        notice = peer.until("notice")
        assert (notice["event"], notice["stamp_ns"]) == ("bad_image", 12 * 200_000_000)
        while peer.until("taken")["count"] < 25:
            pass
        model = published.open_model(Path(peer.until("model")["path"]))
        head = model.head()
        assert head is not None
        assert sum(head.labels.values()) == 12
        assert model.manifest["teacher"]["sha256"] == ready["teacher_sha256"]
        figures = peer.until("figures")
        assert figures["pairs"] == 12
        assert figures["bad_images"] == 1


def drawn_jpeg(content: str, index: int) -> bytes:
    """A picture of the simulator's camera, as the camera would send it."""
    scene = Scene(SequencePlan(index, 0, content, "train", "X"), seed=7, frames=1)
    out = io.BytesIO()
    Image.fromarray(next(iter(scene.pictures()))).save(out, "jpeg", quality=90)
    return out.getvalue()


def test_the_detector_labels_what_the_camera_sees(
    quick: Learning, tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    """No label is sent; the head still has people and cyclists, as the real detector saw them.

    Pairs of empty scenes are not learned from: they owe no step and enter no count of pairs.
    """
    learning = replace(
        quick,
        label_source="detector",
        collate="wanted",
        detector_rate_hz=0.0,
        publish_every_steps=2,
    )
    images = [drawn_jpeg("pedestrian", 502), drawn_jpeg("cyclist", 503), drawn_jpeg("empty", 501)]
    with learner(learning, tmp_path) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        for i in range(18):
            peer.say(link.pack_pair(replace(make_pair(i), image=images[i % 3])))
        peer.say(link.pack("drain"))
        model = published.open_model(Path(peer.until("model")["path"]))
        drained = peer.until("drained")
        peer.say(link.pack("stop"))
        peer.until("stopped")
    assert drained["pairs"] == 12
    head = model.head()
    assert head is not None
    assert head.labels["car"] == 0
    seen = [head.labels[name] for name in ("empty", "pedestrian", "cyclist")]
    assert min(seen) > 0
    assert max(seen) - min(seen) <= 1
    assert model.manifest["data"]["labels"] == 0
    assert model.manifest["data"]["pseudo_labels"] == sum(seen)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits(
    quick: Learning, tmp_path: Path, make_pair: Callable[[int], Pair], ending: signal.Signals
) -> None:
    """SIGTERM, and Ctrl-C on a learner of its own, end with a checkpoint that is gone on from."""
    with learner(quick, tmp_path, alone=ending == signal.SIGINT) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        for i in range(16):
            peer.say(link.pack_pair(make_pair(i)))
        while peer.until("taken")["count"] < 16:
            pass
        peer.process.send_signal(ending)
        step = peer.until("stopped")["step"]
        assert peer.process.wait(20) == 0
    with learner(quick, tmp_path) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        ready = peer.until("ready")
        assert (ready["restored"], ready["step"]) == (True, step)
        assert step > 0


def test_orphan_saves_and_ends(quick: Learning, tmp_path: Path) -> None:
    """A learner whose daemon is gone does not stay behind: a checkpoint, then status 0."""
    with learner(quick, tmp_path, parent=2**22 + 1) as peer:  # above any process number
        assert peer.process.wait(30) == 0
    assert len(list((tmp_path / "checkpoints").glob("checkpoint-*"))) == 1


def test_bad_settings_exit_78(tmp_path: Path, settings: Learning) -> None:
    """Missing weights are one clear line on stderr and status 78, before anything is bound."""
    with learner(replace(settings, teacher_weights="/nowhere/w.pth"), tmp_path) as peer:
        _, errors = peer.process.communicate(timeout=30)
        assert peer.process.returncode == 78
        assert b"/nowhere/w.pth" in errors
        assert errors.count(b"\n") == 1


def test_what_the_disk_refuses_is_named(quick: Learning, tmp_path: Path) -> None:
    """A folder where its lock should be: one line with its path, and status 1."""
    (tmp_path / "learner.lock").mkdir()
    with learner(quick, tmp_path) as peer:
        _, errors = peer.process.communicate(timeout=120)
        assert peer.process.returncode == 1
        assert str(tmp_path / "learner.lock").encode() in errors
        assert errors.count(b"\n") == 1


def test_two_ranks_under_torchrun(
    quick: Learning, tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    """They publish; a SIGTERM to all ends all with 0 and a checkpoint, from which both go on.

    A rank that is killed ends the job, and what was learned is saved.
    """
    with learner(quick, tmp_path, alone=True, ranks=2) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        for i in range(20):
            peer.say(link.pack_pair(make_pair(i)))
        model = published.open_model(Path(peer.until("model")["path"]))
        assert model.manifest["encoder"]["name"] == "residual"
        while peer.until("taken")["count"] < 20:
            pass
        for rank in peer.ranks:
            rank.send_signal(signal.SIGTERM)
        step = peer.until("stopped")["step"]
        assert step > 4
        assert peer.process.wait(30) == 0
    with learner(quick, tmp_path, alone=True, ranks=2) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test", life="1"))
        ready = peer.until("ready")
        assert (ready["restored"], ready["step"]) == (True, step)
        for i in range(20, 24):
            peer.say(link.pack_pair(make_pair(i)))
        while peer.until("taken")["count"] < 4:
            pass
        next(rank for rank in peer.ranks if rank.pid != ready["pid"]).kill()
        assert peer.until("stopped")["step"] > step
        assert peer.process.wait(60) != 0
