"""Models as lines for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rvsense.config import Learning

COLUMNS = ("model", "age", "preset", "labels", "accuracy", "answers", "retrieval", "size", "")
"""`accuracy` is on labels that the classifier did not learn, as the learner measured it; `answers`
on those that the daemon gave since it started and whose label came later."""


def table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a model under a heading; the one that serves has a star."""
    rows = [COLUMNS, *(_row(entry) for entry in entries)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def sheet(facts: Mapping[str, Any]) -> list[str]:
    """All about one model, a fact a line."""
    head, teacher = facts["head"] or {}, facts.get("teacher") or {}
    labels = ", ".join(f"{name} {count}" for name, count in (head.get("labels") or {}).items())
    open_ones, changed = _settings(facts.get("config") or {})
    known: list[tuple[str, str]] = [
        ("model", facts["id"]),
        ("folder", facts["path"]),
        ("checksums", f"whole: {len(facts['files'])} files and the manifest"),
        ("sha256", facts["sha256"]),
        ("age", duration(facts["age_s"])),
        ("training step", str(facts["step"])),
        ("encoder", _plain(facts["encoder"])),
        ("preset", str(facts.get("preset"))),
        ("teacher", _plain(teacher)),
        ("classifier", str(facts.get("head_note", "")) if head else "none: no labels"),
        ("labels seen", labels or "none"),
        ("accuracy", number(head.get("accuracy"))),
        ("calibration error", number(head.get("ece"))),
        ("temperature", number(head.get("temperature"))),
        ("familiarity", "known" if facts["familiarity"] else "unknown: too few frames yet"),
        ("learned from", _plain(facts.get("data") or {})),
        ("figures", _plain(facts.get("figures") or {})),
        ("preset or given", _plain(open_ones) or "-"),
        ("settings changed", _plain(changed) or "none"),
        ("size", size(facts["bytes"])),
    ]
    refusal = facts["refusal"]
    if refusal is not None:
        known.append(("refused", f"{refusal['reason']}: {refusal['detail']}"))
    return [f"{name:<18} {text}" for name, text in known]


def done(reply: Mapping[str, Any]) -> list[str]:
    """What came of a rollback or a release."""
    model, pinned = reply["model"], reply["pinned"]
    serving = "no model serves" if model is None else f"{model['id']} serves"
    lines = [f"{serving}{', pinned' if pinned else ''}"]
    if reply["reason"] in ("damaged", "worse"):
        lines.append(f"{reply['tried']} was refused, {reply['reason']}: {reply['detail']}")
    elif reply["detail"]:
        lines.append(reply["detail"])
    if pinned:
        lines.append("newer models are held back until `rvsense model release`")
        if reply["previous"]:
            lines.append(f"before it served {reply['previous']}")
    if reply["daemon"] is None:
        lines.append("no daemon runs here: this is noted for the next start")
    if not reply["survives_restart"]:
        lines.append("the disk did not take the note: a restart would not know of this")
    return lines


def duration(seconds: float | None) -> str:
    """An age in the unit that fits."""
    if seconds is None:
        return "?"
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int) -> str:
    """Bytes in the unit that fits."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def number(value: float | None) -> str:
    """Three digits, or a dash for what is not known."""
    return "-" if value is None else f"{value:.3f}"


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    serves = entry["state"] in ("serving", "pinned")
    state = "" if entry["state"] == "ready" else entry["state"]
    state = "serving, pinned" if state == "pinned" else state
    return (
        f"{'*' if serves else ' '} {entry['id']}",
        duration(entry["age_s"]),
        str(entry["preset"] or "?"),
        str(entry["labels"]),
        number(entry["accuracy"]),
        _answers(entry.get("answers")),
        number(entry["retrieval"]),
        size(entry["bytes"]),
        f"{state}  {entry['detail']}".strip(),
    )


def _answers(record: Mapping[str, Any] | None) -> str:
    if record is None or not record["scored"]:
        return "-"
    return f"{record['accuracy']:.3f} of {record['scored']}"


def _plain(values: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        return "+".join(map(str, value)) if isinstance(value, list) else str(value)

    return ", ".join(f"{key} {text(value)}" for key, value in values.items() if value is not None)


def _settings(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those that the preset fills in where nobody does, and those that somebody has changed."""
    usual = asdict(Learning())
    other = {key: value for key, value in config.items() if usual.get(key, value) != value}
    open_ones = {key: value for key, value in other.items() if usual[key] in ("", None)}
    return open_ones, {key: value for key, value in other.items() if key not in open_ones}
