"""Which labels are sent: a seeded draw that hangs on the frame alone."""

from hypothesis import given
from hypothesis import strategies as st

from rvsense.replay.choice import draw, purpose_of

SEEDS = st.integers(0, 2**63)
FRACTIONS = st.floats(0, 1)


def _chosen(fraction: float, seed: int, sequence: str = "a") -> set[int]:
    return {
        frame
        for frame in range(400)
        if purpose_of("train", sequence, frame, fraction=fraction, score=False, seed=seed)
    }


@given(SEEDS, FRACTIONS, FRACTIONS)
def test_larger_fraction_keeps_the_smaller_choice(seed: int, one: float, two: float) -> None:
    """More labels are the same labels and more."""
    assert _chosen(min(one, two), seed) <= _chosen(max(one, two), seed)


def test_all_and_none_are_exact() -> None:
    """Fraction 1 chooses every frame and 0 none."""
    assert (len(_chosen(1.0, 3)), len(_chosen(0.0, 3))) == (400, 0)


def test_draw_is_uniform_and_differs_by_seed_and_sequence() -> None:
    """Draws fill the unit interval evenly, and seed and sequence change them."""
    draws = sorted(draw(1, "a", frame) for frame in range(2000))
    assert max(abs(value - rank / 2000) for rank, value in enumerate(draws)) < 0.04
    assert _chosen(0.5, 1) != _chosen(0.5, 2)
    assert _chosen(0.5, 1, "a") != _chosen(0.5, 1, "b")


def test_draw_never_changes() -> None:
    """The choice is part of a result's reproducibility, so it is fixed across versions."""
    assert draw(0, "2019_04_09_BMS1000", 12) == 0.4955978744625753


@given(SEEDS, FRACTIONS)
def test_test_split_is_never_learned(seed: int, fraction: float) -> None:
    """A test frame is scored or silent, whatever the fraction."""
    options = {"fraction": fraction, "seed": seed}
    assert purpose_of("test", "a", 0, score=True, **options) == "score"  # type: ignore[arg-type]
    assert purpose_of("test", "a", 0, score=False, **options) is None  # type: ignore[arg-type]


def test_score_takes_what_is_not_learned() -> None:
    """With scoring on every annotated frame has exactly one purpose."""
    purposes = [
        purpose_of("train", "a", frame, fraction=0.3, score=True, seed=0) for frame in range(400)
    ]
    learned = {frame for frame, purpose in enumerate(purposes) if purpose == "train"}
    assert learned == _chosen(0.3, 0)
    assert purposes.count("score") == 400 - len(learned)
