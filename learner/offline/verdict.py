"""What the paper claims, what was measured here, and whether the one bears out the other. Pure.

A difference counts when it is larger than its own standard deviation, √(s₁² + s₂²) over runs;
a smaller one, or one without a second run, shows nothing in either direction.
"""

import math
from dataclasses import dataclass
from typing import Literal

from rvsense.learner.offline.scores import (
    Metrics,
    Score,
    by_number,
    methods_by_share,
    share_text,
)

Outcome = Literal["reached", "partly", "not reached", "not shown", "not measured"]

PAPER_LEAD = 0.035
"""Fine-tuned before supervised at 1 % of the labels (section VI-A)."""
PAPER_FACTOR = 4.0
"""Fewer epochs for fine-tuning to be at the supervised level (Fig. 5)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the paper, or a question it leaves open, and what came of it here."""

    text: str
    paper: str
    here: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two scores; `spread` is None where one of them is of a single run."""

    value: float
    spread: float | None

    @property
    def sign(self) -> int:
        """1 ahead, −1 behind, 0 within the spread or spread unknown."""
        if self.spread is None or abs(self.value) <= self.spread:
            return 0
        return 1 if self.value > 0 else -1

    def __str__(self) -> str:
        """As in `ahead by 11.1 points`."""
        points = f"{100 * abs(self.value):.1f} points"
        if self.sign:
            return f"{'ahead' if self.sign > 0 else 'behind'} by {points}"
        side = "ahead" if self.value > 0 else "behind"
        if self.spread is None:
            return f"{points} {side} in a single run, which shows nothing"
        return f"{points} {side}, within the spread of {100 * self.spread:.1f}: no difference shown"


def difference(one: Score, other: Score) -> Difference:
    """`one` less `other`."""
    known = one.std is not None and other.std is not None
    spread = math.hypot(one.std or 0, other.std or 0) if known else None
    return Difference(one.mean - other.mean, spread)


def headline(metrics: Metrics) -> str:
    """The answer at the smallest share of labels, in words."""
    lines = methods_by_share(metrics)
    supervised = lines.get("supervised", {})
    shares = [s for s in supervised if s in lines.get("linear", lines.get("finetune", {}))]
    if not shares:
        return "No accuracy of both self-supervised and supervised training is in these metrics."
    share = min(shares)
    other = supervised[share]
    parts = [
        f"{name} on {lines[method][share]} % ({difference(lines[method][share], other)})"
        for method, name in (
            ("linear", "a linear layer on the self-supervised features is right"),
            ("spread", "the same layer, its labels spread through the camera,"),
            ("finetune", "the same encoder, fine-tuned,"),
        )
        if share in lines.get(method, {})
    ]
    return (
        f"With {share_text(share)} of the labels{_label_count(metrics, share)}, supervised "
        f"training is right on {other} % of held-out frames; {'; '.join(parts)}."
    )


def claims(metrics: Metrics) -> list[Claim]:
    """One for each result of the paper, with what is ours among them, then two controls."""
    return [
        _few_labels(metrics, "finetune", "fine-tuned", f"+{100 * PAPER_LEAD:g} points at 1 %"),
        _few_labels(metrics, "linear", "linear", "no figure given"),
        _all_labels(metrics),
        _spread_labels(metrics),
        _fewer_epochs(metrics),
        _more_negatives(metrics),
        _control(metrics, "init_linear", "the encoder before training"),
        _control(metrics, "raw_linear", "the raw heatmap"),
    ]


def _few_labels(metrics: Metrics, method: str, name: str, paper: str) -> Claim:
    text = f"With few labels, self-supervision ({name}) beats supervised training"
    lines = methods_by_share(metrics)
    shared = sorted(lines.get(method, {}).keys() & lines.get("supervised", {}).keys())
    if not shared:
        return Claim(text, paper, "", "not measured")
    one, other = lines[method][shared[0]], lines["supervised"][shared[0]]
    gap = difference(one, other)
    short = method == "finetune" and gap.value < PAPER_LEAD
    outcome: Outcome = _outcome(gap.sign)
    if outcome == "reached" and short:
        outcome = "partly"
    return Claim(
        text, paper, f"{one} % against {other} % at {share_text(shared[0])}: {gap}", outcome
    )


def _all_labels(metrics: Metrics) -> Claim:
    text, paper = "With all labels, fine-tuning is as good as supervised training", "97 % both"
    lines = methods_by_share(metrics)
    one, other = (lines.get(method, {}).get(1.0) for method in ("finetune", "supervised"))
    if one is None or other is None:
        return Claim(text, paper, "", "not measured")
    gap = difference(one, other)
    outcome: Outcome = "not reached" if gap.sign < 0 else "reached"
    if gap.spread is None:
        outcome = "not shown"
    return Claim(text, paper, f"{one} % against {other} %: {gap}", outcome)


def _spread_labels(metrics: Metrics) -> Claim:
    """Few labels with a camera against all labels without one."""
    text = "A linear layer with few labels, spread through the camera, is as good as supervised "
    text, paper = text + "training with all", "not tried"
    lines = methods_by_share(metrics)
    spread, other = lines.get("spread"), lines.get("supervised", {}).get(1.0)
    if not spread or other is None:
        return Claim(text, paper, "", "not measured")
    share = min(spread)
    gap = difference(spread[share], other)
    outcome: Outcome = "not reached" if gap.sign < 0 else "reached"
    if gap.spread is None:
        outcome = "not shown"
    here = f"{spread[share]} % at {share_text(share)} against {other} % at 100 %: {gap}"
    return Claim(text, paper, here, outcome)


def _fewer_epochs(metrics: Metrics) -> Claim:
    text = "Fine-tuning is at the supervised level in fewer epochs"
    paper = f"32 in place of 128: {PAPER_FACTOR:g}×"
    block = metrics.get("efficiency")
    if not block or block.get("supervised_epochs") is None:
        return Claim(text, paper, "", "not measured")
    needed, factor = block.get("finetune_epochs"), block.get("factor")
    if needed is None or factor is None:
        here = f"not at all; supervised training after {block['supervised_epochs']:g} epochs"
        return Claim(text, paper, here, "not reached")
    here = f"{needed:g} in place of {block['supervised_epochs']:g}: {factor:.1f}×"
    outcome: Outcome = "reached" if factor >= PAPER_FACTOR else "partly"
    return Claim(text, paper, here, outcome if factor > 1 else "not reached")


def _more_negatives(metrics: Metrics) -> Claim:
    text, paper = "More negatives give better features", "rises with K, but for one point"
    sweeps = {batch: by_number(ks) for batch, ks in (metrics.get("k_sweep") or {}).items()}
    ends = {
        batch: (ks, difference(ks[max(ks)], ks[min(ks)]))
        for batch, ks in sorted(sweeps.items(), key=lambda item: float(item[0]))
        if len(ks) > 1
    }
    if not ends:
        return Claim(text, paper, "", "not measured")
    here = "; ".join(
        f"batch {batch}: {ks[min(ks)]} % at K = {min(ks):g}, {ks[max(ks)]} % at {max(ks):g}, {gap}"
        for batch, (ks, gap) in ends.items()
    )
    signs = [gap.sign for _, gap in ends.values()]
    if max(signs) > 0 > min(signs) or sorted(set(signs)) == [0, 1]:
        return Claim(text, paper, here, "partly")
    return Claim(text, paper, here, _outcome(min(signs)))


def _control(metrics: Metrics, key: str, name: str) -> Claim:
    text = f"The features come from the training: better than a linear layer on {name}"
    paper = "shown as a picture only (Fig. 7)" if key == "init_linear" else "not compared"
    block = metrics.get(key)
    if block is not None and "mean" in block:
        block = {"1.0": block}
    known, learnt = by_number(block), by_number(metrics.get("linear"))
    shared = sorted(known.keys() & learnt.keys())
    if not shared:
        return Claim(text, paper, "", "not measured")
    gaps = {share: difference(learnt[share], known[share]) for share in shared}
    here = "; ".join(
        f"{learnt[share]} % against {known[share]} % at {share_text(share)}, {gap}"
        for share, gap in gaps.items()
    )
    signs = {gap.sign for gap in gaps.values()}
    return Claim(text, paper, here, _outcome(signs.pop()) if len(signs) == 1 else "partly")


def _outcome(sign: int) -> Outcome:
    outcomes: dict[int, Outcome] = {1: "reached", 0: "not shown", -1: "not reached"}
    return outcomes[sign]


def _label_count(metrics: Metrics, share: float) -> str:
    """How many frames that share is, where every run trained on the same number."""
    frames = {task["train_frames"] for task in metrics.get("task", ())}
    return f" (about {round(share * frames.pop())} frames)" if len(frames) == 1 else ""
