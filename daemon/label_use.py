"""What became of a label that was sent as a request: the word for it in the reply. Pure."""

from collections.abc import Sequence
from typing import Literal

from rvsense.daemon.effects import Effect, Examine, Teach, Truth
from rvsense.frames import LabelFrame

Use = Literal[
    "taught",  # the learner fits the classifier on it
    "examined",  # kept from the learner: new models are compared on it
    "scored",  # compared with the answer that its frame was given
    "waiting",  # its frame has not come yet; it will be used when it does
    "late",  # its frame is no longer at hand
    "unanswered",  # purpose `score`, and no classifier has answered its frame
    "mixed",  # several classes: no example of any
    "not_learning",  # joined a frame, but this daemon does not learn
]

JOINED: frozenset[Use] = frozenset({"taught", "examined", "not_learning"})
"""Those of which the frame was at hand, and has its label now."""


def use_of(
    label: LabelFrame, effects: Sequence[Effect], *, waits: bool, scored: bool, learns: bool
) -> Use:
    """The one word.

    Args:
        label: as it came.
        effects: what the core made of it.
        waits: whether it is kept until its frame comes.
        scored: whether it was compared with an answer.
        learns: whether there is a learner to be taught.
    """
    kinds = {type(effect) for effect in effects}
    if Truth not in kinds:
        return "mixed"
    if label.purpose == "score":
        return "scored" if scored else "unanswered"
    if Examine in kinds:
        return "examined"
    if Teach in kinds:
        return "taught" if learns else "not_learning"
    return "waiting" if waits else "late"
