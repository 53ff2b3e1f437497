"""What systemd hears of a learner that runs by itself."""

from rvsense.learner.vitals import Vitals
from rvsense.notify import Notifier


class Recorder(Notifier):
    """Keeps what would be sent."""

    def __init__(self, watchdog_usec: str) -> None:
        super().__init__({"WATCHDOG_USEC": watchdog_usec})
        self.sent: list[str] = []

    def _send(self, message: str) -> None:
        self.sent.append(message)


def test_ready_then_fed_by_turns() -> None:
    """Ready once, at the first turn; a status each 5 s; the watchdog at half its limit."""
    now = 0.0
    notifier = Recorder("20000000")
    vitals = Vitals(notifier, lambda: now)
    assert notifier.sent == []
    for second in range(21):
        now = float(second)
        vitals.turned(second, 1 if second < 10 else 2)
    assert [message.splitlines()[0] for message in notifier.sent] == [
        "READY=1",
        "STATUS=step 5, 1 daemon",
        "STATUS=step 10, 2 daemons",
        "WATCHDOG=1",
        "STATUS=step 15, 2 daemons",
        "STATUS=step 20, 2 daemons",
        "WATCHDOG=1",
    ]


def test_a_loop_that_hangs_feeds_nothing() -> None:
    """Time alone sends nothing, and without a limit there is no watchdog to feed."""
    now = 0.0
    hung, free = Recorder("20000000"), Recorder("")
    vitals, freely = Vitals(hung, lambda: now), Vitals(free, lambda: now)
    vitals.turned(1, 0)
    now = 100.0
    assert hung.sent == ["READY=1\nSTATUS=step 1, 0 daemons"]
    freely.turned(1, 0)
    now = 200.0
    freely.turned(2, 0)
    freely.stopping()
    assert [message for message in free.sent if "WATCHDOG" in message] == []
    assert free.sent[-1] == "STOPPING=1\nSTATUS=writing a checkpoint"
