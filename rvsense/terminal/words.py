"""Figures as words of few columns. Pure; a dash stands for what is not known."""

from collections.abc import Sequence

DASH = "–"
BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None, form: str, unit: str = "") -> str:
    """A figure in this format, with its unit."""
    return DASH if value is None else format(value, form) + unit


def percent(value: float | None) -> str:
    """A share."""
    return DASH if value is None else f"{100 * value:.0f} %"


def duration(seconds: float | None) -> str:
    """A span of time in its largest unit."""
    if seconds is None:
        return DASH
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def counted(counts: "dict[str, int]") -> str:
    """The counts that are not 0, the largest first."""
    some = sorted(((n, name) for name, n in counts.items() if n), reverse=True)
    return ", ".join(f"{n} {name.replace('_', ' ')}" for n, name in some)


def sparkline(values: Sequence[float | None], columns: int, top: float | None = None) -> str:
    """The last values as bars from 0 to `top` (their own highest); a gap where one is missing.

    Nothing at all where none is known: gaps alone would push aside what stands before them.
    """
    shown = list(values)[-columns:] if columns > 0 else []
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    highest = top if top is not None else max(known)
    return "".join(_bar(value, highest) for value in shown)


def _bar(value: float | None, highest: float) -> str:
    if value is None:
        return " "
    share = value / highest if highest > 0 else 0.0
    return BARS[min(max(round(share * (len(BARS) - 1)), 0), len(BARS) - 1)]
