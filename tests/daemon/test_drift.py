"""The drift flag: what raises it, for how long, and what does not."""

import random

from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.daemon.drift import Drift, DriftWatch

SETTINGS = Serving(drift_block_frames=10, drift_hold_frames=50)


def answers(count: int, score: float, confidence: float, seed: int = 0) -> list[Answer]:
    """Answers about as unfamiliar and as sure as said."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        sure = min(max(rng.gauss(confidence, 0.05), 0.25), 1.0)
        probs = {"car": sure, "empty": 1.0 - sure}
        made.append(Answer("car", probs, max(rng.gauss(score, 0.1), 0.0), None))
    return made


def feed(watch: DriftWatch, given: list[Answer], site: str = "a", model: str = "m") -> list[Drift]:
    """All that was found while these were answered."""
    return [drift for answer in given for drift in watch.answered(site, model, answer)]


def test_a_score_beyond_all_measure_is_a_number_still() -> None:
    """A model that has only seen blank frames finds real ones 1e17 away."""
    watch = DriftWatch(SETTINGS)
    feed(watch, [Answer("car", {"car": 1.0}, 5e17, None)] * 20)
    assert watch.as_map()["a"]["ood_score"] > 1000


def test_unfamiliar_frames_raise_the_flag_of_their_site_for_its_time() -> None:
    """The flag goes up at one site, the drift says of what, and it falls after so many frames."""
    watch = DriftWatch(SETTINGS)
    for site in ("a", "b"):
        assert feed(watch, answers(600, 0.7, 0.8), site) == []
    assert not watch.flagged("a")
    drifts: list[Drift] = []
    strange = answers(600, 3.0, 0.8, seed=1)
    while not drifts:
        drifts = watch.answered("a", "m", strange.pop())
    (drift,) = drifts
    assert (drift.site, drift.signal) == ("a", "ood_score")
    assert drift.before < 1.0 < drift.after
    assert watch.flagged("a")
    assert not watch.flagged("b")
    assert watch.as_map()["a"]["changes"] == 1
    settled = SETTINGS.drift_hold_frames + 100  # the window may have to forget in two cuts
    feed(watch, answers(settled, 3.0, 0.8, seed=2))
    assert not watch.flagged("a")
    assert watch.as_map()["a"]["ood_score"] > 2.0


def test_confidence_alone_raises_it_too() -> None:
    """Answers become unsure at frames that look familiar."""
    watch = DriftWatch(SETTINGS)
    feed(watch, answers(600, 0.7, 0.9))
    assert {drift.signal for drift in feed(watch, answers(600, 0.7, 0.5))} == {"confidence"}


def test_another_model_may_be_less_sure() -> None:
    """Confidence begins anew with each model, and a flag that is up stays its time."""
    watch = DriftWatch(SETTINGS)
    feed(watch, answers(600, 0.7, 0.9))
    assert feed(watch, answers(600, 0.7, 0.5), model="n") == []
    unsure = answers(900, 0.7, 0.95)
    while not watch.flagged("a"):
        watch.answered("a", "n", unsure.pop())
    watch.answered("a", "o", unsure.pop())
    assert watch.flagged("a")
    feed(watch, unsure[: SETTINGS.drift_hold_frames], model="o")
    assert not watch.flagged("a")


PER_MODEL = 1800
"""Frames of a minute at 30 Hz: a learner publishes about that often."""


def minutes(watch: DriftWatch, count: int, score: float, *, seed: int) -> list[Drift]:
    """A model a minute, each with scores up to a tenth above or below the others'."""
    rng = random.Random(seed)
    found = []
    for minute in range(count):
        own = score * rng.uniform(0.9, 1.1)
        model = f"{seed}-{minute}"
        found += feed(watch, answers(PER_MODEL, own, 0.8, seed=minute), model=model)
    return found


def test_a_shift_is_found_although_a_new_model_comes_every_minute() -> None:
    """It takes longer to become plain than the first of the models serves."""
    watch = DriftWatch(Serving())
    assert minutes(watch, 10, 0.7, seed=1) == []
    assert minutes(watch, 1, 1.5, seed=2) == []
    drifts = minutes(watch, 1, 1.5, seed=3)
    assert {drift.signal for drift in drifts} == {"ood_score"}
    assert drifts[0].before < 1.0 < drifts[0].after
    assert watch.flagged("a")


def test_small_differences_between_models_are_no_drift() -> None:
    """Two hours of models, the scores of each within a tenth of the others'."""
    assert minutes(DriftWatch(Serving()), 120, 0.7, seed=3) == []


def test_near_copies_are_one_value() -> None:
    """Scenes that last as long as a block do not raise it, whatever each of them shows."""
    rng = random.Random(5)
    watch = DriftWatch(SETTINGS)
    for scene in range(300):
        copies = answers(SETTINGS.drift_block_frames, rng.uniform(0.4, 1.1), 0.8, seed=scene)
        assert feed(watch, copies) == []


def test_answers_without_score_or_class_are_no_signal() -> None:
    """Neither a model without a head nor an answer without any number is drift."""
    watch = DriftWatch(SETTINGS)
    feed(watch, answers(300, 0.7, 0.8))
    assert feed(watch, [Answer(None, {}, None, "out_of_distribution")] * 300) == []
    assert not watch.flagged("never seen")
    assert watch.as_map()["a"]["confidence"] > 0.7
