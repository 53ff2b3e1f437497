"""A real learner process driven over a real socket."""

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from PIL import Image

from rvsense import link, published
from rvsense.config import Learning
from rvsense.learner.main import settings_json
from rvsense.link import Label, Pair
from rvsense.replay.simulate.plan import SequencePlan
from rvsense.replay.simulate.scene import Scene

pytestmark = pytest.mark.process
PATIENCE_MS = 60_000


class Peer:
    """A learner process and the daemon's end of its link."""

    def __init__(
        self, learning: Learning, state_dir: Path, socket_dir: Path, parent: int | None, ranks: int
    ) -> None:
        endpoint = f"ipc://{socket_dir}/learner"
        command = [sys.executable]
        if ranks > 1:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command += [str(ranks)]
        command += ["-m", "rvsense.learner", "--endpoint", endpoint]
        command += ["--state-dir", str(state_dir)]
        command += [] if parent is None else ["--parent", str(parent)]
        command += ["--config-json", settings_json(learning, 7)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        self.context = zmq.Context()
        self.context.linger = 0
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def say(self, message: list[Any]) -> None:
        """Send one message."""
        self.socket.send_multipart(message)

    @property
    def ranks(self) -> list[psutil.Process]:
        """The learners that torchrun has started; none when it has ended."""
        if self.process.poll() is not None:
            return []
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def until(self, op: str) -> dict[str, Any]:
        """Wait for the next message of that kind."""
        while self.socket.poll(PATIENCE_MS):
            heard, values, _ = link.unpack(self.socket.recv_multipart())
            if heard == op:
                return values
        raise AssertionError(f"no {op!r} from the learner")


@contextmanager
def learner(
    learning: Learning,
    state_dir: Path,
    parent: int | None = None,
    *,
    alone: bool = False,
    ranks: int = 1,
) -> Iterator[Peer]:
    """A learner that is gone afterwards, whatever happens.

    `alone`: one without a parent; `ranks`: so many processes under torchrun.
    """
    with tempfile.TemporaryDirectory() as socket_dir:  # short: ipc paths end at 107 bytes
        owner = None if alone else parent or os.getpid()
        peer = Peer(learning, state_dir, Path(socket_dir), owner, ranks)
        try:
            yield peer
        finally:
            for process in [*peer.ranks, peer.process]:
                process.kill()
            peer.process.communicate()
            peer.socket.close()
            peer.context.term()


@pytest.fixture
def quick(settings: Learning) -> Learning:
    """The edge preset with a teacher of no wisdom: nothing here depends on what is learned."""
    return replace(settings, teacher_weights="random", pool_pairs=24, publish_every_steps=4)


def lockstep_run(
    learning: Learning, state_dir: Path, make_pair: Callable[[int], Pair]
) -> dict[str, Any]:
    """One whole run of 24 pairs; what `drained` says."""
    with learner(learning, state_dir) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
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
        peer.say(link.pack("hello", lockstep=False, daemon="test"))
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
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
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
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
        for i in range(16):
            peer.say(link.pack_pair(make_pair(i)))
        while peer.until("taken")["count"] < 16:
            pass
        peer.process.send_signal(ending)
        step = peer.until("stopped")["step"]
        assert peer.process.wait(20) == 0
    with learner(quick, tmp_path) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
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


def test_two_ranks_under_torchrun(
    quick: Learning, tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    """They publish; a SIGTERM to all ends all with 0 and a checkpoint, from which both go on.

    A rank that is killed ends the job, and what was learned is saved.
    """
    with learner(quick, tmp_path, alone=True, ranks=2) as peer:
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
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
        peer.say(link.pack("hello", lockstep=True, daemon="test"))
        ready = peer.until("ready")
        assert (ready["restored"], ready["step"]) == (True, step)
        for i in range(20, 24):
            peer.say(link.pack_pair(make_pair(i)))
        while peer.until("taken")["count"] < 4:
            pass
        next(rank for rank in peer.ranks if rank.pid != ready["pid"]).kill()
        assert peer.until("stopped")["step"] > step
        assert peer.process.wait(60) != 0
