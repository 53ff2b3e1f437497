"""Ratios are formed within rounds, sides take turns, and what is written can be read again."""

from pathlib import Path

import pytest

from bench.sides import Goal, Row, read, report, rounds, table

FASTER = Row("steps", (30.0, 10.0, 20.0), (10.0, 5.0, 5.0), "per s", "a loop", Goal("at least", 3))


def test_the_ratio_is_the_median_over_rounds_and_not_that_of_the_medians() -> None:
    """(30/10, 10/5, 20/5): 3, where 20/5 would be 4."""
    assert FASTER.ratios == [3.0, 2.0, 4.0]
    assert FASTER.ratio == 3.0
    assert FASTER.met is True


@pytest.mark.parametrize(
    ("goal", "met"),
    [(Goal("at least", 3.1), False), (Goal("at most", 3.1), True), (Goal("at most", 2.9), False)],
)
def test_a_goal_is_met_on_its_own_side(goal: Goal, met: bool) -> None:
    """At least and at most."""
    assert Row("x", (3.0,), (1.0,), "s", "y", goal).met is met


def test_without_a_goal_nothing_is_met() -> None:
    """Not met, and not missed."""
    assert Row("x", (3.0,), (1.0,), "s", "y").met is None


def test_sides_with_different_numbers_of_rounds_are_refused() -> None:
    """They were not taken in one run."""
    with pytest.raises(ValueError, match="2 against 1 rounds"):
        Row("x", (3.0, 2.0), (1.0,), "s", "y")


def test_who_begins_changes_from_round_to_round() -> None:
    """So that a drifting machine favours nobody."""
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    ours, theirs = rounds(3, lambda: side("a", 1.0), lambda: side("b", 2.0))
    assert "".join(order) == "abbaab"
    assert (ours, theirs) == ((1.0,) * 3, (2.0,) * 3)


def test_the_table_shows_range_goal_and_a_missed_goal() -> None:
    """One line, as in the documents."""
    missed = Row("x", (1.0, 3.0), (2.0, 2.0), "s", "y", Goal("at least", 2))
    assert table([missed]).splitlines()[-1] == ("| x | 2 s | 2 s, y | 1 (0.5–1.5) | ≥ 2 | **no** |")


def test_what_was_reported_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows, goals and setting."""
    report([FASTER, Row("x", (3.0,), (1.0,), "s", "y")], "1 each", tmp_path / "deep" / "rows.json")
    setting, rows = read(tmp_path / "deep" / "rows.json")
    assert rows == [FASTER, Row("x", (3.0,), (1.0,), "s", "y")]
    assert str(setting) in capsys.readouterr().out
    assert "threads: 1 each" in str(setting)
