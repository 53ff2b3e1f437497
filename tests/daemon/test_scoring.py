"""Test, then train: which answers count, and what is said of them."""

import math

import pytest

from rvsense.answer import Answer
from rvsense.daemon.scoring import VERSIONS_KEPT, Given, Score
from rvsense.frames import SceneClass


def given(
    label: SceneClass | None,
    confidence: float = 0.9,
    ood_score: float = 0.5,
    *,
    withheld: bool = False,
    model: str = "m",
) -> Given:
    """An answer; what is not the label's goes to `empty`, or to `car`."""
    if label is None:
        return Given(Answer(None, {}, ood_score, "no_labels"), model, withheld)
    other = "car" if label == "empty" else "empty"
    probs = {label: confidence, other: 1.0 - confidence}
    return Given(Answer(label, probs, ood_score, None), model, withheld)


def test_truth_before_and_after_the_answer_count_alike() -> None:
    """A label scores its answer whichever of the two comes first, and once."""
    score = Score()
    score.answered(("a", 0, 1), given("car"))
    score.told(("a", 0, 1), "car")
    score.told(("a", 0, 2), "car")
    score.answered(("a", 0, 2), given("empty", withheld=True))
    score.told(("a", 0, 1), "car")
    score.answered(("a", 0, 2), given("empty", withheld=True))
    assert (score.scored, score.accuracy, score.coverage) == (2, 0.5, 0.5)


def test_frames_of_other_sites_and_epochs_do_not_meet() -> None:
    """A truth belongs to one site, one epoch and one stamp."""
    score = Score()
    score.answered(("a", 0, 1), given("car"))
    for key in (("b", 0, 1), ("a", 1, 1), ("a", 0, 2)):
        score.told(key, "car")
    assert score.scored == 0


def test_answers_without_a_classifier_do_not_count() -> None:
    """Before the first head there is no accuracy, rather than one of zero."""
    score = Score()
    score.answered(("a", 0, 1), given(None, withheld=True))
    score.told(("a", 0, 1), "car")
    assert (score.scored, score.accuracy, score.coverage) == (0, None, None)


def test_the_score_forgets() -> None:
    """Only the last `window` answers count, and what waits for its other half is bounded."""
    score = Score(window=10, remembered=20)
    for i in range(200):
        score.told(("a", 0, i), "car")
        score.answered(("a", 0, i), given("car" if i >= 190 else "empty"))
        score.told(("b", 0, i), "car")
        score.answered(("c", 0, i), given("car"))
    assert score.accuracy == 1.0
    assert (score.scored, len(score._truths), len(score._answers)) == (200, 20, 20)


def test_log_loss_and_calibration_error_of_the_window() -> None:
    """Four answers of .9, of which three are right."""
    score = Score()
    labels: list[SceneClass] = ["car", "car", "car", "empty"]
    for i, label in enumerate(labels):
        score.answered(("a", 0, i), given(label))
        score.told(("a", 0, i), "car")
    values = score.as_map()
    assert values["accuracy"] == 0.75
    assert values["ece"] == pytest.approx(0.15)
    assert values["log_loss_nats"] == pytest.approx(-(3 * math.log(0.9) + math.log(0.1)) / 4)


def test_coverage_curves_leave_out_the_unfamiliar_and_the_unsure() -> None:
    """Of ten answers the two wrong ones are unfamiliar; of the same ten they are sure."""
    score = Score()
    for i in range(10):
        answer = given("empty", 0.9, 2.0) if i < 2 else given("car", 0.6, 0.5)
        score.answered(("a", 0, i), answer)
        score.told(("a", 0, i), "car")
    values = score.as_map()
    assert {p["coverage"]: p["accuracy"] for p in values["by_ood_score"]}[0.8] == 1.0
    assert {p["coverage"]: p["accuracy"] for p in values["by_confidence"]}[0.8] == 0.75


def test_each_model_version_has_figures_of_its_own_and_the_oldest_are_forgotten() -> None:
    """A label scores the version that answered, though another serves by then."""
    score = Score()
    for i in range(VERSIONS_KEPT + 3):
        score.answered(("a", 0, i), given("car", model=f"m{i}"))
        score.answered(("a", 1, i), given("empty", model=f"m{i}"))
    for i in range(VERSIONS_KEPT + 3):
        score.told(("a", 0, i), "car")
        score.told(("a", 1, i), "car")
    history = score.as_map()["history"]
    assert [item["model"] for item in history] == [f"m{i}" for i in range(3, VERSIONS_KEPT + 3)]
    assert {(item["scored"], item["accuracy"]) for item in history} == {(2, 0.5)}
