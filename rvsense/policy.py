"""When an answer is given and when it is withheld. Pure."""

from rvsense.answer import Answer
from rvsense.config import Serving


def abstention(answer: Answer, settings: Serving) -> str | None:
    """Why the answer is withheld, or None when it stands.

    The order is that of the reasons' gravity: nothing to answer with, a frame unlike any seen
    before, an answer that is little better than a guess.
    """
    if answer.abstain is not None:
        return answer.abstain
    if answer.ood_score is not None and answer.ood_score > settings.max_ood_score:
        return "out_of_distribution"
    if max(answer.probs.values()) < settings.min_confidence:
        return "low_confidence"
    return None
