"""One way to use a device: nothing on a CPU; on CUDA page-locked copies, a lane, a graph.

What needs CUDA is marked `gpu`. The order in which a graph is captured and used is also pinned
without one, against a stand-in that only writes down what it is told.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from rvsense.device import serving_lane, settle, stage_to
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.errors import ModelError
from rvsense.graphed import WARM_UPS, Graphed, serving_pass

CPU = torch.device("cpu")
ON_CUDA = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def twice(x: Tensor) -> Tensor:
    """A pass."""
    return 2 * x


def test_a_cpu_needs_nothing() -> None:
    """Tensors stay where they are, the pass is the pass, and a lane can be taken again."""
    x = torch.randn(1, 3)
    assert stage_to(CPU)("x", x) is x
    assert serving_pass(twice, x) is twice
    lane = serving_lane(CPU)
    for _ in range(2):
        with lane:
            assert torch.equal(serving_pass(twice, x)(x), 2 * x)


def test_settling_a_cpu_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags are CUDA's; a process that serves on a CPU leaves them alone."""
    monkeypatch.setattr(torch, "set_float32_matmul_precision", pytest.fail)
    before = torch.backends.cudnn.allow_tf32
    settle(CPU)
    assert torch.backends.cudnn.allow_tf32 is before


class Notes:
    """A stand-in for CUDA: a graph that can be replayed, and what was asked for, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refuses = False
        self.x = self.y = torch.empty(0)

    def eager(self, x: Tensor) -> Tensor:
        """2 x, once launched; what a graph would keep are the last input and output."""
        self.told.append("launch")
        self.x, self.y = x, 2 * x
        return self.y

    def replay(self) -> None:
        """From the kept input to the kept output."""
        self.told.append("replay")
        self.y.copy_(2 * self.x)

    @contextmanager
    def graph(self, graph: Any, *, stream: Any, capture_error_mode: str) -> Iterator[None]:
        """As torch's, with its modes."""
        assert graph is self
        assert stream is self
        self.told.append(f"capture {capture_error_mode}")
        if self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        yield
        self.told.append("captured")

    def wait(self, stream: Any) -> None:
        """Of an event."""
        self.told.append("wait")

    def record(self, stream: Any) -> None:
        """Of an event."""
        self.told.append("record")

    def wait_stream(self, stream: Any) -> None:
        """Of a stream."""


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Takes the place of graph, stream and event."""
    it = Notes()
    for name in ("CUDAGraph", "Stream", "Event", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, **__: it)
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", it.graph)
    return it


def test_a_graph_is_captured_warm_and_watches_its_own_thread(notes: Notes) -> None:
    """Another thread answers frames meanwhile: its calls must not spoil the capture."""
    Graphed(notes.eager, torch.zeros(1, 3))
    assert notes.told == ["launch"] * WARM_UPS + ["capture thread_local", "launch", "captured"]


def test_the_result_of_a_replay_is_the_callers_own(notes: Notes) -> None:
    """The next frame does not write into the answer before; another size is launched."""
    graphed = Graphed(notes.eager, torch.zeros(1, 3))
    notes.told.clear()
    first, second = graphed(torch.ones(1, 3)), graphed(torch.full((1, 3), 5.0))
    assert notes.told == ["wait", "replay", "record"] * 2
    assert (first.tolist(), second.tolist()) == ([[2.0] * 3], [[10.0] * 3])
    notes.told.clear()
    assert torch.equal(graphed(torch.ones(4, 3)), torch.full((4, 3), 2.0))
    assert notes.told == ["launch"]


def test_a_pass_that_cannot_be_captured_is_an_error_of_the_model(notes: Notes) -> None:
    """It is said with what CUDA said and with the way without, and nothing is launched instead."""
    notes.refuses = True
    with pytest.raises(ModelError, match=r"not permitted.*serving.device = cpu"):
        Graphed(notes.eager, torch.zeros(1, 3))


class TestOnCuda:
    pytestmark = ON_CUDA

    @pytest.fixture(autouse=True)
    def _settled(self) -> None:
        settle(torch.device("cuda"))

    def test_float32_is_float32(self) -> None:
        """Products and convolutions agree with the CPU's further than TF32 could."""
        a, b = torch.randn(256, 256), torch.randn(256, 256)
        x, w = torch.randn(2, 32, 40, 40), torch.randn(16, 32, 3, 3)
        product = (a.cuda() @ b.cuda()).cpu()
        convolved = torch.nn.functional.conv2d(x.cuda(), w.cuda()).cpu()
        assert torch.allclose(product, a @ b, rtol=1e-5, atol=1e-4)
        assert torch.allclose(convolved, torch.nn.functional.conv2d(x, w), rtol=1e-5, atol=1e-4)

    def test_what_is_staged_arrives_whatever_becomes_of_its_source(self) -> None:
        """Sizes and types change, the source is overwritten at once, two threads share a stage."""
        stage = stage_to(torch.device("cuda"))
        wrong: list[int] = []

        def send(first: int) -> None:
            for i in range(first, first + 200):
                host = torch.full((1 + i % 97, 1000), i, dtype=(torch.int64, torch.float32)[i % 2])
                there = stage("x", host)
                host.zero_()
                if not bool((there == i).all()):
                    wrong.append(i)

        threads = [threading.Thread(target=send, args=(first,)) for first in (0, 1000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_a_buffer_made_while_answering_serves_learning_too(self) -> None:
        """Memory taken in inference mode can be written outside of it."""
        stage = stage_to(torch.device("cuda"))
        with torch.inference_mode():
            stage("x", torch.zeros(8))
        assert stage("x", torch.ones(8)).tolist() == [1.0] * 8

    @pytest.mark.parametrize(
        "spec",
        [
            EncoderSpec("residual", ("magnitude", "motion"), key_dim=8),
            EncoderSpec("vgg16", ("magnitude",), key_dim=4096),
        ],
    )
    @torch.inference_mode()
    def test_a_replay_gives_what_the_layers_give(self, spec: EncoderSpec) -> None:
        """For frame after frame, and for batches, which are not replayed."""
        encoder = build_encoder(spec, seed=1).eval().cuda()
        example = torch.zeros(1, len(spec.channels), 128, 128, device="cuda")
        graphed = serving_pass(encoder.feature_map, example)
        assert isinstance(graphed, Graphed)
        for n in (1, 1, 3, 1):
            x = torch.randn(n, len(spec.channels), 128, 128, device="cuda")
            assert torch.allclose(graphed(x), encoder.feature_map(x), rtol=1e-5, atol=1e-5)

    def test_two_threads_in_two_lanes_do_not_mix_their_frames(self) -> None:
        """The exam of a model and its serving share one graph: each gets its own answer."""
        encoder = build_encoder(EncoderSpec("residual", ("magnitude",), key_dim=8), seed=1)
        encoder = encoder.eval().cuda()
        frames = torch.randn(8, 1, 1, 128, 128, device="cuda")
        graphed = serving_pass(encoder.feature_map, frames[0])
        with torch.inference_mode():
            wanted = [encoder.feature_map(x) for x in frames]
        torch.cuda.synchronize()
        wrong: list[int] = []

        def answer(first: int) -> None:
            with serving_lane(torch.device("cuda")), torch.inference_mode():
                for i in range(first, first + 300):
                    if not torch.allclose(graphed(frames[i % 8]), wanted[i % 8], atol=1e-5):
                        wrong.append(i)

        threads = [threading.Thread(target=answer, args=(first,)) for first in (0, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_a_capture_beside_a_thread_that_answers(self) -> None:
        """Models are loaded while frames are answered: neither disturbs the other."""
        spec = EncoderSpec("residual", ("magnitude",), key_dim=8)
        x = torch.randn(1, 1, 128, 128, device="cuda")
        serving, *others = (build_encoder(spec, seed=seed).eval().cuda() for seed in range(6))
        stop, errors = threading.Event(), []

        def answer() -> None:
            try:
                with serving_lane(torch.device("cuda")), torch.inference_mode():
                    while not stop.is_set():
                        serving.feature_map(x).cpu()
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            for encoder in others:
                graphed = serving_pass(encoder.feature_map, x)
                with torch.inference_mode():
                    assert torch.allclose(graphed(x), encoder.feature_map(x), atol=1e-5)
        finally:
            stop.set()
            thread.join()
        assert errors == []
