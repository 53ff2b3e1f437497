"""Waiting for results: silence, the end from elsewhere, event loops, restarts, other news."""

import asyncio
import threading
import time
from collections.abc import Callable

import msgpack
import pytest

import rvsense
from rvsense.client import ClosedError, ModelNews, SilenceError, Subscriber
from rvsense.errors import UsageError
from rvsense.results import Result
from tests.shared.publishing import Daemon

MakeResult = Callable[..., Result]
PATIENCE_S = 20.0


def test_silence_is_an_error_that_one_may_go_on_after(daemon: Daemon, fresh: MakeResult) -> None:
    """It names the endpoint; a result ends it."""
    with Subscriber(daemon.endpoint, silence_s=0.1) as subscriber:
        daemon.admit()
        at_first = subscriber.is_stale
        for _ in range(2):
            with pytest.raises(SilenceError, match=daemon.endpoint):
                next(subscriber)
        daemon.send(fresh(0))
        assert next(subscriber).result_seq == 0
        assert (at_first, subscriber.is_stale) == (True, False)
        with pytest.raises(SilenceError):
            next(subscriber)


def test_silence_may_be_told_instead(daemon: Daemon, fresh: MakeResult) -> None:
    """Again and again while it lasts, with its length; iterating goes on."""
    told: list[float] = []

    def tell(seconds: float) -> None:
        told.append(seconds)
        if len(told) == 3:
            daemon.send(fresh(0))

    with Subscriber(daemon.endpoint, silence_s=0.05, on_silence=tell) as subscriber:
        daemon.admit()
        assert next(subscriber).result_seq == 0
    assert len(told) >= 3
    assert told == sorted(told)
    assert told[0] >= 0.05


def test_results_that_are_too_old_are_no_news(daemon: Daemon, fresh: MakeResult) -> None:
    """A stream of stale results is silence."""
    with Subscriber(daemon.endpoint, max_age_s=1.0, silence_s=0.2) as subscriber:
        daemon.admit()
        daemon.send(*(fresh(n, published_ns=1) for n in range(5)))
        with pytest.raises(SilenceError):
            next(subscriber)
        assert subscriber.stale == 5
        assert subscriber.is_stale


def test_closing_from_another_thread_ends_the_iteration(daemon: Daemon) -> None:
    """Who waits for ever finds the end; closing twice is harmless."""
    subscriber = Subscriber(daemon.endpoint)
    timer = threading.Timer(0.1, subscriber.close)
    timer.start()
    assert list(subscriber) == []
    timer.join()
    subscriber.close()
    with pytest.raises(ClosedError, match=daemon.endpoint):
        subscriber.receive(0.0)


def test_closing_under_fire(daemon: Daemon, fresh: MakeResult) -> None:
    """While results pour in, at any moment, from a thread that knows nothing of it."""
    for delay_ms in range(0, 20, 2):
        subscriber = Subscriber(daemon.endpoint)
        daemon.admit()
        timer = threading.Timer(delay_ms / 1e3, subscriber.close)
        timer.start()
        daemon.send(*(fresh(n) for n in range(100)))
        for result in subscriber:
            daemon.send(fresh(100 + result.result_seq))
        timer.join()
        with pytest.raises(ClosedError):
            subscriber.receive(0.0)
        daemon.admit()  # its goodbye


def test_one_receives_at_a_time(daemon: Daemon, fresh: MakeResult) -> None:
    """A second task is refused, instead of holding up the loop that would wake the first."""

    async def both() -> list[Result | BaseException | None]:
        async with rvsense.subscribe(daemon.endpoint) as subscriber:
            daemon.admit()
            first = asyncio.create_task(subscriber.receive_async(PATIENCE_S))
            await asyncio.sleep(0)
            second = asyncio.create_task(subscriber.receive_async(PATIENCE_S))
            await asyncio.wait([second])
            daemon.send(fresh(0))
            return list(await asyncio.gather(first, second, return_exceptions=True))

    first, second = asyncio.run(both())
    assert isinstance(first, Result)
    assert isinstance(second, UsageError)


def test_a_callback_that_receives_is_refused(daemon: Daemon) -> None:
    """It would wait for itself."""

    def receive(_: float) -> None:
        subscriber.receive()

    with Subscriber(daemon.endpoint, silence_s=0.05, on_silence=receive) as subscriber:
        daemon.admit()
        with pytest.raises(UsageError, match="somebody else receives"):
            next(subscriber)


@pytest.mark.parametrize("endpoint", ["tcp://*:5561", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*"])
def test_an_endpoint_to_bind_is_none_to_connect_to(endpoint: str) -> None:
    """It is said in words what is expected."""
    with pytest.raises(UsageError, match="really got"):
        Subscriber(endpoint)


def test_an_event_loop_gets_the_same(daemon: Daemon, fresh: MakeResult) -> None:
    """Everything that was sent, in order, beside other tasks that go on meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async def feed() -> None:
        for n in range(50):
            await asyncio.sleep(0.002)
            daemon.send(fresh(2 * n), fresh(2 * n + 1))

    async def follow() -> list[int]:
        async with rvsense.subscribe(daemon.endpoint, timeout_s=PATIENCE_S) as subscriber:
            daemon.admit()
            others = [asyncio.create_task(tick()), asyncio.create_task(feed())]
            heard = []
            async for result in subscriber:
                heard.append(result.result_seq)
                if len(heard) == 100:
                    break
            for task in others:
                task.cancel()
            return heard

    assert asyncio.run(follow()) == list(range(100))
    assert ticks > 5


def test_an_event_loop_is_told_of_silence_and_of_the_end(daemon: Daemon) -> None:
    """The time is over, nothing comes, a task closes it: each as in a thread."""

    async def follow() -> None:
        async with Subscriber(daemon.endpoint) as subscriber:
            assert await subscriber.receive_async(0.05) is None
        async with Subscriber(daemon.endpoint, silence_s=0.05) as subscriber:
            with pytest.raises(SilenceError):
                await anext(subscriber)
        subscriber = Subscriber(daemon.endpoint)
        asyncio.get_running_loop().call_later(0.05, subscriber.close)
        assert [result async for result in subscriber] == []
        with pytest.raises(ClosedError):
            await subscriber.receive_async()

    asyncio.run(follow())


def test_a_task_that_is_cancelled_leaves_the_subscriber_usable(
    daemon: Daemon, fresh: MakeResult
) -> None:
    """A time limit around it, say."""

    async def follow() -> int:
        async with Subscriber(daemon.endpoint) as subscriber:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(subscriber), 0.05)
            daemon.admit()
            daemon.send(fresh(7))
            return (await anext(subscriber)).result_seq

    assert asyncio.run(follow()) == 7


def test_a_daemon_that_dies_is_found_again(fresh: MakeResult) -> None:
    """At the same port; its last value for newcomers, though it says repeat, is news then."""
    first = Daemon()
    with Subscriber(first.endpoint, timeout_s=PATIENCE_S) as subscriber:
        first.admit()
        first.send(fresh(40), fresh(41))
        assert [next(subscriber).result_seq for _ in range(2)] == [40, 41]
        first.close()
        second = Daemon(int(first.endpoint.rpartition(":")[2]))
        while not second.socket.poll(0):  # ZeroMQ asks anew for topics when it is looked at
            assert subscriber.receive(0.1) is None
        second.admit()
        second.send(fresh(3, repeat=True), fresh(4))
        assert [next(subscriber).result_seq for _ in range(2)] == [3, 4]
        assert (subscriber.restarts, subscriber.missed, subscriber.connections) == (1, 0, 2)
    second.close()


def test_models_and_status_are_told_beside(daemon: Daemon, fresh: MakeResult) -> None:
    """Who asks for them gets them, typed, and results as ever."""
    models: list[ModelNews] = []
    steps: list[int] = []
    with Subscriber(
        daemon.endpoint,
        timeout_s=PATIENCE_S,
        on_model=models.append,
        on_status=lambda status: steps.append(status["step"]),
    ) as subscriber:
        for _ in range(3):
            daemon.admit()
        news = {"v": 1, "id": "step-7-ab", "step": 7, "sha256": "ab"}
        daemon.socket.send_multipart([b"model", msgpack.packb(news)])
        daemon.socket.send_multipart([b"status", msgpack.packb({"v": 1, "step": 5})])
        daemon.send(fresh(0))
        assert next(subscriber).result_seq == 0
    assert models == [ModelNews("step-7-ab", 7, "ab")]
    assert steps == [5]


def test_two_threads_may_share_one(daemon: Daemon, fresh: MakeResult) -> None:
    """Each result goes to one of them, none is lost."""
    heard: list[int] = []
    with Subscriber(daemon.endpoint, timeout_s=0.5) as subscriber:
        daemon.admit()
        threads = [
            threading.Thread(target=lambda: heard.extend(r.result_seq for r in subscriber))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for n in range(200):
            daemon.send(fresh(n))
        for thread in threads:
            thread.join()
        assert sorted(heard) == list(range(200))
        assert subscriber.missed == 0


def test_waiting_costs_nothing(daemon: Daemon) -> None:
    """A subscriber without news does not spin, in a thread or in a loop."""
    with Subscriber(daemon.endpoint) as subscriber:
        subscriber.receive(0.3)  # the handshake is over
        began_s = time.process_time()
        subscriber.receive(0.5)
        asyncio.run(subscriber.receive_async(0.5))
        assert time.process_time() - began_s < 0.25
