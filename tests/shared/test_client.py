"""The subscriber's side, over real sockets: gaps, repeats, age, restarts, prefixes."""

import time
from collections.abc import Callable

import rvsense
from rvsense.client import Subscriber
from rvsense.results import Result
from tests.shared.publishing import Daemon

MakeResult = Callable[..., Result]


def test_results_arrive_and_the_end_is_a_timeout(daemon: Daemon, fresh: MakeResult) -> None:
    """`for result in subscribe()` gives what was published, and stops after the timeout."""
    with rvsense.subscribe(daemon.endpoint, timeout_s=0.3) as subscriber:
        daemon.admit()
        sent = [fresh(i) for i in range(3)]
        daemon.send(*sent)
        assert list(subscriber) == sent
        assert (subscriber.received, subscriber.missed, subscriber.stale) == (3, 0, 0)


def test_gaps_are_counted_per_site(daemon: Daemon, fresh: MakeResult) -> None:
    """What was lost between two results of a site is missed; where one begins is no gap."""
    with Subscriber(daemon.endpoint, timeout_s=0.3) as subscriber:
        daemon.admit()
        daemon.send(fresh(5), fresh(90, site="west"), fresh(6), fresh(9), fresh(91, site="west"))
        assert len(list(subscriber)) == 5
        assert subscriber.missed == 2


def test_a_repeat_is_news_only_to_who_lacks_it(daemon: Daemon, fresh: MakeResult) -> None:
    """The last value for a newcomer is passed over by others, unless they lost it."""
    with Subscriber(daemon.endpoint, timeout_s=0.3) as subscriber:
        daemon.admit()
        daemon.send(fresh(3, repeat=True), fresh(3, repeat=True), fresh(4), fresh(4, repeat=True))
        daemon.send(fresh(6, repeat=True), fresh(7))
        assert [result.result_seq for result in subscriber] == [3, 4, 6, 7]
        assert subscriber.missed == 1


def test_a_daemon_that_starts_again_is_no_gap(daemon: Daemon, fresh: MakeResult) -> None:
    """Counting from 0 again is taken as it is, and gaps after it are seen."""
    with Subscriber(daemon.endpoint, timeout_s=0.3) as subscriber:
        daemon.admit()
        daemon.send(fresh(100), fresh(0), fresh(1), fresh(3))
        assert [result.result_seq for result in subscriber] == [100, 0, 1, 3]
        assert subscriber.missed == 1


def test_old_news_is_stale(daemon: Daemon, fresh: MakeResult) -> None:
    """Results older than `max_age_s` are passed over and counted, and leave no gap."""
    with Subscriber(daemon.endpoint, timeout_s=0.3, max_age_s=60.0) as subscriber:
        daemon.admit()
        hour_ago = time.time_ns() - 3600 * 10**9
        daemon.send(fresh(0), fresh(1, published_ns=hour_ago), fresh(2))
        assert [result.result_seq for result in subscriber] == [0, 2]
        assert (subscriber.stale, subscriber.missed) == (1, 0)


def test_one_site_is_not_its_prefix(daemon: Daemon, fresh: MakeResult) -> None:
    """Who follows `site-1` does not hear of `site-10`, though the topic begins alike."""
    with Subscriber(daemon.endpoint, site="site-1", timeout_s=0.3) as subscriber:
        daemon.admit()
        daemon.send(fresh(0, site="site-10"), fresh(0, site="site-1"), fresh(0, site="site-2"))
        assert [result.site for result in subscriber] == ["site-1"]


def test_silence_returns_none(daemon: Daemon) -> None:
    """`receive` with a timeout gives None when nothing comes."""
    with Subscriber(daemon.endpoint) as subscriber:
        assert subscriber.receive(0.05) is None
