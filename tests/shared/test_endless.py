"""Which connection sends a message without end, and which are only waited for too long."""

from rvsense.endless import ALLOWANCE_BYTES, ROUNDS, Endless

MOST = 1000


def test_what_is_within_a_message_stays() -> None:
    """However often it is looked at, and however idle the entrance."""
    it = Endless(MOST)
    for _ in range(10):
        it.idle()
        assert it.look({7: MOST}) == []


def test_one_without_end_goes_once_nothing_waits() -> None:
    """More than a message has come, the socket was empty after that, and it was never heard."""
    it = Endless(MOST)
    assert it.look({7: 0, 8: 0}) == []
    it.idle()
    assert it.look({7: 2 * MOST, 8: 10}) == []
    assert it.look({7: 3 * MOST, 8: 20}) == []  # it may be that its messages wait
    it.idle()
    assert it.look({7: 3 * MOST, 8: 30}) == [7]


def test_one_that_is_heard_never_goes() -> None:
    """Whatever it sends: these are whole messages."""
    it = Endless(MOST)
    for count in range(0, 100 * MOST, 3 * MOST):
        it.heard(7)
        it.idle()
        assert it.look({7: count}) == []


def test_one_whose_messages_wait_is_waited_for() -> None:
    """While nobody reads, as in lock-step, neither idle nor taken grows."""
    it = Endless(MOST)
    for count in range(0, 100 * MOST, 3 * MOST):
        assert it.look({7: count}) == []
    it.heard(7)
    assert it.look({7: 100 * MOST}) == []
    assert it.look({7: 100 * MOST}) == []


def test_another_that_keeps_us_busy_does_not_hide_it() -> None:
    """The socket is never empty, but a whole message would have had its turn."""
    it = Endless(MOST)
    it.look({7: 0, 8: 0})
    it.look({7: 2 * MOST, 8: 0})
    for _ in range(2 * ROUNDS):
        it.heard(8)
    assert it.look({7: 2 * MOST, 8: 9 * MOST}) == []
    it.heard(8)
    assert it.look({7: 2 * MOST, 8: 18 * MOST}) == [7]


def test_heartbeats_add_up_to_nothing() -> None:
    """A subscriber may say nothing for months."""
    it = Endless(MOST)
    for count in range(0, 100 * MOST, ALLOWANCE_BYTES):
        it.idle()
        assert it.look({7: count}) == []


def test_who_comes_again_begins_anew() -> None:
    """A descriptor is used again; what came on it before is another's."""
    it = Endless(MOST)
    it.look({7: 0})
    it.look({7: 5 * MOST})
    it.forget(7)
    it.idle()
    assert it.look({7: 5 * MOST}) == []
    assert it.look({7: 5 * MOST + 10}) == []
