"""The verdict follows the numbers, in both directions."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from rvsense.learner.offline import charts
from rvsense.learner.offline.scores import basis, by_number, score
from rvsense.learner.offline.verdict import Claim, claims, headline

Metrics = dict[str, Any]
Block = Callable[..., Metrics]


def by_text(metrics: dict[str, Any], word: str) -> Claim:
    """The one claim whose text has this word."""
    (found,) = [claim for claim in claims(metrics) if word in claim.text]
    return found


def test_the_verdict_holds_in_both_directions(metrics: dict[str, Any], block: Block) -> None:
    """Swapping the two methods swaps the verdict; within the spread there is none."""
    ahead = by_text(metrics, "(linear)")
    assert (ahead.outcome, ahead.here.split(": ")[1]) == ("reached", "ahead by 13.0 points")
    metrics["linear"], metrics["supervised"] = metrics["supervised"], metrics["linear"]
    behind = by_text(metrics, "(linear)")
    assert (behind.outcome, behind.here.split(": ")[1]) == ("not reached", "behind by 13.0 points")
    assert "behind by 13.0 points" in headline(metrics)
    metrics["supervised"] = {"0.01": block(0.62, 0.03)}
    assert by_text(metrics, "(linear)").outcome == "not shown"
    assert "within the spread" in headline(metrics)


def test_a_smaller_lead_than_the_papers_is_reached_in_part(
    metrics: dict[str, Any], block: Block
) -> None:
    """Two points ahead beyond the spread are not the paper's three and a half."""
    metrics["supervised"]["0.01"], metrics["finetune"]["0.01"] = block(0.7, 0.01), block(0.72, 0.01)
    assert by_text(metrics, "(fine-tuned)").outcome == "partly"
    metrics["finetune"]["0.01"] = block(0.74, 0.01)
    assert by_text(metrics, "(fine-tuned)").outcome == "reached"


def test_labels_that_are_spread_are_set_against_all_labels(
    metrics: dict[str, Any], block: Block
) -> None:
    """With the smallest share, against supervision with everything; behind it is not reached."""
    few, all_ = metrics["spread"]["0.01"], metrics["supervised"]["1.0"]
    metrics["spread"]["0.01"] = block(all_["mean"] + 0.1, 0.01)
    claim = by_text(metrics, "spread through the camera")
    assert (claim.outcome, claim.here.split(": ")[1]) == ("reached", "ahead by 10.0 points")
    assert "its labels spread through the camera, on" in headline(metrics)
    metrics["spread"]["0.01"] = block(all_["mean"] - 0.1, 0.01)
    assert by_text(metrics, "spread through the camera").outcome == "not reached"
    metrics["spread"]["0.01"] = few | {"values": [few["mean"]]}
    assert by_text(metrics, "spread through the camera").outcome == "not shown"


def test_one_run_shows_nothing(metrics: dict[str, Any]) -> None:
    """Without a second run there is no spread, whatever std says."""
    metrics["linear"] = {"0.01": {"mean": 0.9, "std": 0.0, "values": [0.9]}}
    assert by_text(metrics, "(linear)").outcome == "not shown"
    assert score(metrics["linear"]["0.01"]) is not None
    assert str(score(metrics["linear"]["0.01"])) == "90.0"


@pytest.mark.parametrize(
    ("needed", "factor", "outcome"),
    [(9.0, 4.1, "reached"), (20.0, 1.9, "partly"), (40.0, 0.9, "not reached"),
     (None, None, "not reached")],
)  # fmt: skip
def test_the_factor_of_epochs(
    metrics: dict[str, Any], needed: float | None, factor: float | None, outcome: str
) -> None:
    """Four times fewer is the paper's; never at all is said so, in the figure too."""
    metrics["efficiency"] |= {"finetune_epochs": needed, "factor": factor}
    claim = by_text(metrics, "epochs")
    assert claim.outcome == outcome
    assert ("not at all" in claim.here) == (needed is None)
    plot = charts.epochs(metrics)
    assert plot is not None
    assert ("does not reach" in plot.caption) == (needed is None)


def test_more_negatives_in_one_batch_only_is_in_part(metrics: dict[str, Any], block: Block) -> None:
    """Every batch size must rise; a fall in all is a no."""
    metrics["k_sweep"]["128"]["256"] = block(0.75, 0.012)
    assert by_text(metrics, "negatives").outcome == "partly"
    metrics["k_sweep"] = {"64": {"64": block(0.8, 0.01), "320": block(0.7, 0.01)}}
    assert by_text(metrics, "negatives").outcome == "not reached"


def test_what_is_not_a_number_is_no_score(block: Block) -> None:
    """NaN and null are absent, not drawn as zero; shares are ordered as numbers."""
    assert score({"mean": math.nan, "std": 0.1, "values": [1, 2]}) is None
    assert score({"mean": None}) is None
    assert score(None) is None
    assert list(by_number({"1.0": block(0.9), "0.01": block(0.7), "0.1": block(0.8)})) == [
        0.01,
        0.1,
        1.0,
    ]


def test_the_basis_of_a_figure_is_told(metrics: dict[str, Any]) -> None:
    """How many frames and sequences, whether apart from training, over how many runs."""
    assert basis(metrics) == (
        "Simulated data; tested on 1,600 frames of 24 sequences never trained on; mean and "
        "standard deviation of 3 runs."
    )
