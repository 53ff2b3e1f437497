"""Epochs, clock jumps, silence and refusals, as transcripts: `>>` goes in, `<<` comes out."""

from textwrap import dedent
from typing import Any

import pytest

from rvsense.config import Pairing

# Radar and camera periods of the scripts are 33 ms; 3600000 ms is an hour.
SETTINGS = Pairing(tolerance_s=0.01, offset_s=0.0, lateness_s=0.02, idle_timeout_s=0.2)

KINDS = ("radar", "camera")

SCRIPTS = {
    "a pair is final when both streams are past it by lateness and distance": """
        >> radar 0 @0
        >> camera 0 @2
        >> radar 1 @33
        >> camera 1 @24
        >> camera 2 @35
        << pair 0 0
        >> flush
        << unmatched camera 1
        << pair 1 2
    """,
    "a higher epoch decides what is pending and refuses what is older": """
        >> radar 0 @100
        >> camera 0 @101
        >> radar 1 @133
        >> radar 0 @0 epoch 1
        << pair 0 0
        << unmatched radar 1
        >> camera 1 @134
        << stale_epoch camera 1
        >> camera 0 @1 epoch 1
        >> flush
        << pair 0 0
    """,
    "both clocks go back an hour, the camera's a frame later: no pair across, no stall": """
        >> radar 6 @3599967
        >> camera 6 @3599968
        >> radar 7 @3600000
        >> camera 7 @3600001
        << pair 6 6
        >> radar 8 @33
        << pair 7 7
        >> camera 8 @3600034
        << stale_epoch camera 8
        >> radar 6 @3599967
        << stale_epoch radar 6
        >> radar 9 @66
        >> camera 9 @67
        << unmatched radar 8
        >> radar 10 @100
        >> camera 10 @101
        << pair 9 9
        >> flush
        << pair 10 10
    """,
    "both clocks go ahead an hour, the camera's a frame later: what lies between is given up": """
        >> radar 7 @0
        >> camera 7 @1
        >> radar 8 @3600033
        << pair 7 7
        >> camera 8 @34
        << late camera 8
        >> radar 9 @3600066
        << unmatched radar 8
        >> camera 9 @3600067
        >> flush
        << pair 9 9
    """,
    "one stamp an hour ahead costs its own frame and those beside it, not the hour": """
        >> radar 7 @0
        >> camera 7 @1
        >> radar 8 @3600000
        << pair 7 7
        >> camera 8 @34
        << late camera 8
        >> radar 9 @66
        << unmatched radar 8
        >> camera 9 @67
        >> flush
        << pair 9 9
    """,
    "the clocks go back by half a second, each at its own moment": """
        >> radar 7 @1000
        >> camera 7 @1001
        >> radar 8 @533
        << pair 7 7
        >> camera 8 @1034
        << stale_epoch camera 8
        >> camera 9 @567
        >> radar 9 @566
        << unmatched radar 8
        >> radar 10 @600
        >> camera 10 @601
        << pair 9 9
        >> flush
        << pair 10 10
    """,
    "an old frame with an old seq is late and no jump": """
        >> radar 7 @0
        >> camera 7 @1
        >> radar 9 @150
        >> camera 9 @151
        << pair 7 7
        >> radar 8 @33
        << late radar 8
        >> flush
        << pair 9 9
    """,
    "of two frames with one stamp the lower seq stays, whichever came first": """
        >> radar 0 @0
        >> radar 0 @0
        << duplicate radar 0
        >> camera 1 @1
        >> camera 0 @1
        << duplicate camera 1
        >> flush
        << pair 0 0
    """,
    "a silent camera stops holding up the radar once the radar is an idle timeout ahead": """
        >> radar 0 @0
        >> camera 0 @1
        >> radar 1 @100
        >> radar 2 @200
        >> radar 3 @300
        << pair 0 0
        << unmatched radar 1
        << unmatched radar 2
        >> radar 4 @400
        << unmatched radar 3
        >> camera 4 @401
        >> flush
        << pair 4 4
    """,
    "when all fall silent the caller's tick decides the rest, and stragglers are late": """
        >> radar 0 @0
        >> camera 0 @1
        >> radar 1 @33
        >> tick @233
        >> tick @234
        << pair 0 0
        << unmatched radar 1
        >> camera 1 @33
        << late camera 1
        >> radar 2 @300
        >> camera 2 @300
        >> flush
        << pair 2 2
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_transcript(tools: Any, name: str) -> None:
    """The rules at the top of `pairing` hold word for word in this situation."""
    expected = dedent(SCRIPTS[name]).strip()
    assert tools.transcript(SETTINGS, expected) == expected


@pytest.mark.parametrize("epoch", [0, 3])
def test_restart_without_a_word(tools: Any, epoch: int) -> None:
    """A source that starts again from 0, its epoch no higher, pairs again after 32 refusals."""
    steps = range(40)
    before = [f">> {kind} {k} @{90_000 + 33 * k} epoch {epoch}" for k in steps for kind in KINDS]
    again = [f">> {kind} {k} @{33 * k}" for k in steps for kind in KINDS]
    lines = tools.transcript(SETTINGS, "\n".join([*before, *again, ">> flush"])).splitlines()
    assert lines.count("<< pair 39 39") == 2
    assert sum("late" in line or "stale_epoch" in line for line in lines) == 31
