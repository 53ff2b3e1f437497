"""What waits for the learner: order, bounds, losses."""

from hypothesis import given
from hypothesis import strategies as st

from rvsense.daemon.outbox import Outbox, What


def sent(outbox: Outbox) -> list[object]:
    """Everything that may be sent now."""
    messages = []
    while (message := outbox.next()) is not None:
        messages.append(message)
    return messages


def test_messages_leave_in_order_within_the_window() -> None:
    """No more than `window` are on their way; what is taken makes room."""
    outbox = Outbox(most=10, window=2)
    for i in range(4):
        outbox.put("pair", i)
    assert sent(outbox) == [0, 1]
    outbox.taken(1)
    assert sent(outbox) == [2]
    outbox.taken(3)
    assert sent(outbox) == [3]
    emptied = [outbox.empty]
    outbox.taken(4)
    emptied.append(outbox.empty)
    assert emptied == [False, True]
    assert outbox.forwarded == 4


def test_a_full_outbox_loses_its_oldest_pair_and_no_label() -> None:
    """The backlog is bounded; labels stay, and the loss is counted."""
    outbox = Outbox(most=3)
    for what, message in [("pair", 0), ("label", "l"), ("pair", 1), ("pair", 2), ("label", "m")]:
        outbox.put(what, message)  # type: ignore[arg-type]
    assert outbox.dropped["learner_backlog"] == 2
    assert sent(outbox) == ["l", 2, "m"]


def test_labels_alone_are_bounded_too() -> None:
    """Where only labels wait, the oldest gives way, and is counted as a label."""
    outbox = Outbox(most=2)
    for i in range(5):
        outbox.put("label", i)
    assert sent(outbox) == [3, 4]
    assert not any(outbox.dropped.values())
    assert outbox.labels_dropped["learner_backlog"] == 3


def test_labels_of_every_frame_leave_room_for_pairs() -> None:
    """A learner that takes fewer messages than somebody labels frames still has all the pairs."""
    outbox, taken, pairs = Outbox(most=64), 0, 0
    for second in range(60):
        for frame in range(35):
            outbox.put("label", "label")
            if frame % 7 == 0:
                outbox.put("pair", second)
        for _ in range(16):
            pairs += outbox.next() != "label"
            outbox.taken(taken := taken + 1)
    assert outbox.dropped["learner_backlog"] == 0
    assert pairs == outbox.forwarded == 60 * 5 - outbox.pending_pairs


def test_a_lossless_outbox_only_says_that_it_is_full() -> None:
    """In lock-step nothing is pushed out; `full` is for its owner to heed."""
    outbox = Outbox(most=2, lossless=True)
    for i in range(4):
        assert outbox.full == (i >= 2)
        outbox.put("pair", i)
    assert sent(outbox) == [0, 1, 2, 3]
    assert outbox.dropped["learner_backlog"] == 0


def test_a_learner_takes_what_it_had_with_it() -> None:
    """Pairs on their way are lost with the learner, those behind them are not."""
    outbox = Outbox(most=10, window=3)
    for what in ("pair", "label", "pair", "pair"):
        outbox.put(what, what)
    sent(outbox)
    outbox.taken(1)
    outbox.lost()
    assert outbox.dropped["learner_lost"] == outbox.labels_dropped["learner_lost"] == 1
    assert sent(outbox) == ["pair"]
    outbox.taken(1)  # its successor counts from its own greeting
    assert (outbox.forwarded, outbox.empty) == (2, True)


def test_a_learner_that_claims_too_much_is_not_believed() -> None:
    """`taken` beyond what was sent, or backwards, breaks nothing."""
    outbox = Outbox(most=10, window=2)
    outbox.put("pair", 0)
    outbox.taken(99)
    assert outbox.forwarded == 0
    outbox.taken(-5)
    assert outbox.pending_pairs == 1


events = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(["pair", "label"])),
    st.tuples(st.sampled_from(["next", "lost"]), st.none()),
    st.tuples(st.just("taken"), st.integers(0, 3)),
)


@given(st.lists(events, max_size=80), st.booleans())
def test_the_ledger_of_pairs_balances(steps: list[tuple[str, What]], lossless: bool) -> None:
    """At every instant: pairs put = forwarded + dropped + pending."""
    outbox = Outbox(most=4, window=3, lossless=lossless)
    put = taken = 0
    for step, value in steps:
        if step == "put":
            put += value == "pair"
            outbox.put(value, object())
        elif step == "next":
            outbox.next()
        elif step == "taken":
            taken += value  # type: ignore[operator]
            outbox.taken(taken)
        else:
            outbox.lost()
            taken = 0
        settled = outbox.forwarded + sum(outbox.dropped.values()) + outbox.pending_pairs
        assert put == settled
