"""The exam: what it keeps, and when a new model fails it."""

from typing import Any

import numpy as np
import pytest

from rvsense.daemon.exam import LEARN_FIRST, Exam, verdict
from rvsense.frames import SceneClass

EMPTY: Any = np.zeros(1)


def test_the_learner_gets_the_first_labels_of_each_class() -> None:
    """No class has its first labels kept from the learner."""
    exam = Exam(share=0.9, most=10)
    for label in ("car", "empty", "cyclist"):
        wanted = [exam.wants(label) for _ in range(LEARN_FIRST)]
        assert not any(wanted)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_the_share_is_kept(share: float) -> None:
    """Of many labels, the exam takes its share and no more."""
    exam = Exam(share=share, most=10)
    taken = sum(exam.wants("car") for _ in range(1000))
    assert taken == pytest.approx(1000 * share, abs=1)


def test_the_third_label_of_each_class_is_examined() -> None:
    """Few labels, and yet each class has one in the exam, whatever came of the others."""
    exam = Exam(share=0.2, most=10)
    for label in ("car", "empty"):
        assert [exam.wants(label) for _ in range(12)] == [n in (2, 9) for n in range(12)]


def test_a_flood_of_one_class_leaves_the_others_their_places() -> None:
    """The oldest of the most numerous class goes first."""
    exam = Exam(share=0.5, most=4)
    exam.add(EMPTY, "cyclist")
    for _ in range(20):
        exam.add(EMPTY, "empty")
    exam.add(EMPTY, "car")
    assert [label for _, label in exam.items()] == ["cyclist", "empty", "empty", "car"]


def test_a_restored_exam_goes_on_counting() -> None:
    """Numbers are never given twice; where there is less room now, the newest stay."""
    exam = Exam(share=0.5, most=2)
    exam.restore({3: (EMPTY, "car"), 1: (EMPTY, "empty"), 2: (EMPTY, "cyclist")})
    assert list(exam.kept()) == [2, 3]
    exam.add(EMPTY, "car")
    assert list(exam.kept()) == [2, 4]


def test_an_exam_of_no_size_takes_nothing() -> None:
    """`exam_labels = 0` leaves every label to the learner."""
    exam = Exam(share=0.9, most=0)
    assert not any(exam.wants("car") for _ in range(100))
    exam.add(EMPTY, "car")
    assert exam.items() == []


def test_the_newest_stay_and_a_list_in_hand_does_not_change() -> None:
    """Memory is bounded; who reads the exam in another thread keeps what was handed out."""
    exam = Exam(share=0.5, most=3)
    labels: list[SceneClass] = ["car", "empty", "cyclist", "pedestrian"]
    before = exam.items()
    for label in labels:
        exam.add(EMPTY, label)
    assert [label for _, label in exam.items()] == labels[1:]
    assert list(exam.kept()) == [1, 2, 3]
    assert before == []


def answers(right: int, of: int) -> list[bool]:
    """So many right, then the wrong ones."""
    return [True] * right + [False] * (of - right)


@pytest.mark.parametrize(
    ("new", "old", "fails"),
    [
        (answers(0, 0), answers(0, 0), False),  # nothing to judge by
        (answers(80, 100), answers(80, 100), False),
        (answers(90, 100), answers(80, 100), False),
        (answers(75, 100), answers(80, 100), False),  # within the margin
        (answers(50, 100), answers(80, 100), True),
        (answers(0, 1), answers(1, 1), False),  # one frame proves nothing
        (answers(0, 2), answers(2, 2), False),  # nor do two
        (answers(1, 4), answers(4, 4), True),
        (answers(0, 20), answers(20, 20), True),
        (answers(30, 100)[::-1], answers(70, 100), True),
    ],
)
def test_verdicts(new: list[bool], old: list[bool], fails: bool) -> None:
    """A model fails when it loses more than the margin and more than chance explains."""
    reason = verdict(new, old, margin=0.05)
    assert (reason is not None) == fails
    if reason is not None:
        assert f"{sum(new)} of {len(new)}" in reason


def test_models_of_equal_skill_rarely_fail_and_worse_ones_do() -> None:
    """Over many exams: refusals of equals under 10 %, of one that is 20 points worse over 95 %."""
    rng = np.random.default_rng(0)

    def refused(skill: float) -> float:
        verdicts = [
            verdict(list(rng.random(128) < skill), list(rng.random(128) < 0.8), 0.05)
            for _ in range(400)
        ]
        return sum(reason is not None for reason in verdicts) / len(verdicts)

    assert refused(0.8) < 0.1
    assert refused(0.6) > 0.95


def test_exams_of_different_length_are_a_mistake() -> None:
    """Both models must have sat the same exam."""
    with pytest.raises(ValueError, match=r"shorter|longer"):
        verdict([True], [True, False], 0.0)
