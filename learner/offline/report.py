"""One page that stands alone: the verdict in words, the tables, the figures, how it was made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rvsense.atomic import write_file
from rvsense.learner.offline.figures import Figure
from rvsense.learner.offline.page import escape, page, picture, table, words
from rvsense.learner.offline.scores import (
    METHODS,
    Metrics,
    basis,
    by_number,
    methods_by_share,
    score,
    share_text,
    simulated,
)
from rvsense.learner.offline.verdict import Claim, claims, headline

SYMBOLS = {"reached": "✓", "partly": "◐", "not reached": "✗", "not shown": "≈", "not measured": "–"}
BLOCKS = {
    "linear": "linear accuracy",
    "finetune": "accuracy after fine-tuning",
    "supervised": "accuracy of supervised training",
    "spread": "linear accuracy with labels spread through the camera",
    "teacher_linear": "the teacher's accuracy on images",
    "raw_linear": "the control on raw heatmaps",
    "init_linear": "the control on the encoder before training",
    "knn": "nearest neighbours",
    "k_sweep": "accuracy against the number of negatives (Fig. 4)",
    "mi": "the bound on mutual information",
    "efficiency": "epochs to the supervised level",
    "curves": "loss against epochs (Fig. 6)",
    "confusion": "confusion matrices",
    "by_range": "accuracy against distance",
    "trust": "calibration",
}


def write_report(metrics: Metrics, figures: Sequence[Figure], path: Path) -> None:
    """Write report.html; the same input gives the same bytes.

    Args:
        metrics: what metrics.json holds; what is absent is named as missing, with the reason
            that `missing` (block to reason) gives.
        figures: of `write_figures`; their files are embedded.
        path: of the page.
    """
    name = metrics.get("dataset", {}).get("name", "dataset")
    title = f"Radar taught by a camera, evaluated on {name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _facts(metrics),
        f'<p class="lead">{escape(headline(metrics))}</p>',
        "<h2>What the paper claims, and what came of it here</h2>",
        '<p class="note">A difference counts when it is larger than its own standard deviation '
        "over the runs; a smaller one shows nothing in either direction.</p>",
        f'<ol class="claims">{"".join(map(_claim, claims(metrics)))}</ol>',
        "<h2>Accuracy</h2>",
        _accuracy(metrics),
        _controls(metrics),
        _trust(metrics),
        "<h2>Figures</h2>" if figures else "",
        *(
            picture(f.path.read_bytes(), f.dark_path.read_bytes(), f.alt, f.caption)
            for f in figures
        ),
        "<h2>How this was made</h2>",
        _making(metrics),
        "<h2>Limits</h2>",
        f"<ul>{''.join(f'<li>{escape(limit)}</li>' for limit in _limits(metrics, figures))}</ul>",
    ]
    text = page(title, "\n".join(part for part in body if part))
    write_file(path, text.encode(), mode=0o644)


def _facts(metrics: Metrics) -> str:
    data = metrics.get("dataset", {})
    parts = [
        f"{data[key]:,} {key}" for key in ("frames", "sequences", "sites") if data.get(key)
    ] + [
        f"{key} {metrics[key]}" for key in ("preset", "budget") if metrics.get(key)
    ]  # fmt: skip
    badge = '<span class="badge">simulated data</span> ' if simulated(metrics) else ""
    return f'<p class="facts">{badge}{escape(" · ".join(parts))}</p>'


def _claim(claim: Claim) -> str:
    style = claim.outcome.replace(" ", "-")
    here = claim.here or "not in these metrics"
    return (
        f'<li><span class="outcome {style}">{SYMBOLS[claim.outcome]} {claim.outcome}</span>'
        f"<div><h3>{escape(claim.text)}</h3><p>Here: {escape(here)}.</p>"
        f'<p class="paper">Paper: {escape(claim.paper)}.</p></div></li>'
    )


def _accuracy(metrics: Metrics) -> str:
    columns = {METHODS[m].capitalize(): scores for m, scores in methods_by_share(metrics).items()}
    if not columns:
        return "<p>No accuracy is in these metrics.</p>"
    if init := by_number(metrics.get("init_linear")):
        columns["Untrained, linear"] = init
    shares = sorted({share for scores in columns.values() for share in scores})
    rows = [
        [share_text(share), *(str(scores.get(share, "–")) for scores in columns.values())]
        for share in shares
    ]
    caption = (
        "Accuracy in percent by share of labels; all but supervised start from the self-supervised "
        "encoder. Labels spread: the camera, taught these labels alone, labels the other training "
        f"frames for the linear layer, which answers from radar. {basis(metrics)}"
    )
    return table(caption, ["Labels", *columns], rows)


def _controls(metrics: Metrics) -> str:
    names = {
        "teacher_linear": "Teacher on the images, linear: the ceiling",
        "knn": "Self-supervised, nearest neighbours",
        "raw_linear": "Raw heatmap, linear",
    }
    rows = [(name, str(one)) for key, name in names.items() if (one := score(metrics.get(key)))]
    rows += [
        (f"Labels that the camera spread from {share_text(share)} of them", str(one))
        for share, one in list(by_number(metrics.get("spread_named")).items())[:1]
    ]
    caption = "The ceiling and the controls, with all labels but for the last: accuracy in percent"
    return table(caption, ("", "Accuracy"), rows) if rows else ""


def _trust(metrics: Metrics) -> str:
    block = metrics.get("trust") or {}
    rows = []
    for key, name in (("ece", "Calibration error (ECE), %"), ("log_loss", "Log loss, nats")):
        value = block.get(key)
        if value is not None:
            one = value if isinstance(value, (int, float)) else value["mean"]
            rows.append((name, f"{100 * one:.1f}" if key == "ece" else f"{one:.3f}"))
    for share, own in by_number(metrics.get("spread_ece")).items():
        name = f"ECE with labels spread, {share_text(share)} of them, %"
        rows.append((name, f"{100 * own.mean:.1f}"))
    for share, accuracy in sorted((block.get("coverage") or {}).items(), reverse=True):
        name = f"Accuracy on the surest {share_text(float(share))} of frames, %"
        rows.append((name, f"{100 * accuracy:.1f}"))
    return table("How far the probabilities can be trusted", ("", "Value"), rows) if rows else ""


def _making(metrics: Metrics) -> str:
    environment, hashes = metrics.get("environment") or {}, metrics.get("teacher_sha256") or {}
    rows = [(name.replace("_", " ").capitalize(), str(v)) for name, v in environment.items()]
    rows.append(("Seeds", ", ".join(map(str, metrics.get("seeds", ())))))
    rows.append(("Split", f"by {metrics.get('split', 'unknown')}"))
    labelled = metrics.get("dataset", {}).get("labelled") or {}
    if labelled:
        rows.append(("Labelled frames", ", ".join(f"{n:,} {name}" for name, n in labelled.items())))
    if hashes:
        same = hashes.get("before") == hashes.get("after")
        told = "unchanged by training" if same else "CHANGED by training, which must not happen"
        rows.append(("Teacher's weights", f"{told}; SHA-256 {hashes.get('before')}"))
    config = [(key, str(value)) for key, value in sorted((metrics.get("config") or {}).items())]
    settings = words("Every setting that was in force", config)
    folded = (
        f"<details><summary>Configuration ({len(config)} settings)</summary>{settings}</details>"
    )
    return words("The run", rows) + (folded if config else "")


def _limits(metrics: Metrics, figures: Sequence[Figure]) -> list[str]:
    limits = []
    if simulated(metrics):
        limits.append(
            "The data are simulated: they show whether the mechanism works, not what accuracy "
            "to expect of a real radar. No figure here can be set against the paper's 97 %."
        )
    if metrics.get("split") == "frame":
        limits.append(
            "Split by frame: neighbours of a test frame, near copies of it, were trained on. "
            "Accuracies are too high; split by sequence for figures to trust."
        )
    runs = len(metrics.get("seeds", ()))
    if runs < 5:
        limits.append(
            f"{runs} run{'s' * (runs != 1)}: a standard deviation of so few is itself uncertain."
            if runs > 1
            else "One run: no spread is known, so no difference can be called one."
        )
    if metrics.get("budget") == "quick":
        limits.append("A reduced budget: fewer epochs and points than the paper's protocol asks.")
    reasons: dict[str, Any] = metrics.get("missing") or {}
    for key, name in BLOCKS.items():
        if not metrics.get(key):
            why = reasons.get(key, "the run was interrupted, or its budget leaves it out")
            limits.append(f"Missing: {name} ({why}).")
    if "features" not in {figure.name for figure in figures}:
        why = reasons.get("embedding", "the run was interrupted, or its budget leaves it out")
        limits.append(f"Missing: features in two dimensions (Fig. 7; {why}).")
    return limits
