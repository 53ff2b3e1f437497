"""The results socket: last values, subscriber counts, numbering, over real sockets."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
import zmq

from rvsense import results
from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.daemon.inference import NO_MODEL, Answered, Waiting
from rvsense.daemon.publisher import Publisher
from rvsense.daemon.sockets import SUBSCRIPTION_BYTES, bind
from rvsense.frames import RadarFrame

CONFIDENT = Answer("car", {"empty": 0.1, "car": 0.9}, 0.5, None)


class Bench:
    """A publisher at a port of its own, and subscribers to it."""

    def __init__(self, make_radar: Callable[..., RadarFrame], model: Any) -> None:
        self.context = zmq.Context()
        self.context.linger = 0
        socket, self.endpoint = bind(
            self.context,
            zmq.XPUB,
            "tcp://127.0.0.1:0",
            "--results",
            max_message_bytes=SUBSCRIPTION_BYTES,
        )
        self.subscribers: list[zmq.Socket[bytes]] = []  # one that is forgotten is not closed
        self.publisher = Publisher(socket, Serving(min_confidence=0.5))
        self._make_radar, self._model, self._socket = make_radar, model, socket

    def answer(
        self, seq: int, answer: Answer = CONFIDENT, *, drift: bool = False, **changes: Any
    ) -> results.Result:
        """Publish the answer to a frame that came in a second ago."""
        model = None if answer is NO_MODEL else self._model
        received_ns = time.monotonic_ns() - 10**9
        waiting = Waiting(self._make_radar(seq, **changes), received_ns)
        return self.publisher.answer(Answered(waiting, answer, model, 0.001), drift=drift)

    def subscribe(self, *topics: str) -> "zmq.Socket[bytes]":
        """A subscriber of its own."""
        socket = self.context.socket(zmq.SUB)
        socket.connect(self.endpoint)
        for topic in topics:
            socket.subscribe(topic)
        self.subscribers.append(socket)
        return socket

    def settle(self, subscribers: int) -> int:
        """Handle what comes in until so many are counted; returns the count."""
        until = time.monotonic() + 5
        while self.publisher.subscribers != subscribers and time.monotonic() < until:
            self._socket.poll(20)
            self.publisher.handle_subscriptions()
        self._socket.poll(50)
        self.publisher.handle_subscriptions()
        return self.publisher.subscribers


@pytest.fixture
def bench(make_radar: Callable[..., RadarFrame], fake_model: Any) -> Iterator[Bench]:
    """One."""
    it = Bench(make_radar, fake_model("step-1"))
    yield it
    it.context.destroy(linger=0)


def received(socket: "zmq.Socket[bytes]", count: int) -> list[tuple[str, dict[str, Any]]]:
    """The next messages: topic and map."""
    messages = []
    for _ in range(count):
        assert socket.poll(5000)
        topic, body = socket.recv_multipart()
        messages.append((topic.decode(), msgpack.unpackb(body)))
    return messages


def test_a_result_as_it_goes_out(bench: Bench) -> None:
    """The answer, the model that made it (S5), and stamps of this day with the true wait."""
    subscriber = bench.subscribe("classification/")
    bench.settle(1)
    before_ns = time.time_ns()
    bench.answer(7, source={"frame": 3})
    ((topic, values),) = received(subscriber, 1)
    assert topic == "classification/east"
    assert (values["seq"], values["label"], values["abstain"]) == (7, "car", None)
    assert values["model"] == {"id": "step-1", "step": 1, "sha256": "ab", "published_ns": 5}
    assert values["source"] == {"frame": 3}
    assert values["radio_only"] is True
    assert values["drift"] is False
    assert before_ns <= values["published_ns"] <= time.time_ns()
    assert values["published_ns"] - values["received_ns"] >= 10**9
    assert "repeat" not in values


def test_the_drift_flag_goes_out(bench: Bench) -> None:
    """With the result, and with the last value for newcomers."""
    subscriber = bench.subscribe("classification/")
    bench.settle(1)
    assert bench.answer(7, drift=True).drift
    ((_, values),) = received(subscriber, 1)
    assert values["drift"] is True


def test_withheld_answers_keep_their_probabilities(bench: Bench) -> None:
    """An abstention has no label and says why; what the model thought is there to be seen."""
    unsure = bench.answer(0, Answer("car", {"empty": 0.4, "car": 0.45}, 0.5, None))
    assert (unsure.label, unsure.abstain) == (None, "low_confidence")
    assert unsure.probs == {"empty": 0.4, "car": 0.45}
    nothing = bench.answer(1, NO_MODEL)
    assert (nothing.label, nothing.abstain, nothing.model) == (None, "no_model", None)


def test_results_are_numbered_per_site(bench: Bench) -> None:
    """Each site counts from 0 by one, whatever the others do."""
    numbers = [
        (site, bench.answer(seq, site=site).result_seq)
        for seq, site in enumerate(["a", "b", "a", "a", "b"])
    ]
    assert numbers == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]


def test_a_newcomer_gets_the_last_value_of_each_of_its_topics(bench: Bench) -> None:
    """At once, marked as repeated, one a topic; topics it did not ask for stay away."""
    for seq in range(3):
        bench.answer(seq)
    bench.answer(9, site="west")
    bench.publisher.announce("model", {"id": "m1"})
    bench.publisher.announce("model", {"id": "m2"})
    everything = bench.subscribe("")
    bench.settle(1)
    got = dict(received(everything, 3))
    assert not everything.poll(50)
    assert set(got) == {"classification/east", "classification/west", "model"}
    assert (got["classification/east"]["seq"], got["classification/east"]["repeat"]) == (2, True)
    assert got["model"] == {"v": 1, "id": "m2"}

    west = bench.subscribe("classification/west")
    bench.settle(2)
    ((topic, values),) = received(west, 1)
    assert (topic, values["seq"]) == ("classification/west", 9)
    assert not west.poll(50)


def test_subscribers_are_counted(bench: Bench) -> None:
    """Two follow one topic, one of them leaves, the other leaves: 2, 1, 0."""
    first, second = bench.subscribe("classification/"), bench.subscribe("classification/")
    assert bench.settle(2) == 2
    first.close(linger=0)
    assert bench.settle(1) == 1
    bench.answer(0)
    assert received(second, 1)[0][1]["seq"] == 0
    second.unsubscribe("classification/")
    assert bench.settle(0) == 0
    second.close(linger=0)
    assert bench.settle(0) == 0


def test_nonsense_from_a_subscriber_is_ignored(bench: Bench) -> None:
    """Messages sent up the results socket that are no subscriptions change nothing."""
    odd = bench.context.socket(zmq.XSUB)
    odd.connect(bench.endpoint)
    odd.send(b"\x01classification/")
    assert bench.settle(1) == 1
    for message in (b"", b"\x07hello", b"x" * 1000):
        odd.send(message)
    bench.answer(0)
    assert odd.poll(5000)
    assert bench.settle(1) == 1
    odd.close(linger=0)
    assert bench.settle(0) == 0


def test_memory_is_one_value_a_topic(bench: Bench) -> None:
    """However many results go out, what is kept is bounded by the sites."""
    for seq in range(200):
        bench.answer(seq, site=f"s{seq % 4}")
    assert len(bench.publisher._last) == len(bench.publisher._result_seq) == 4
