"""What a scenario measured: named figures, each with the bound that it must keep."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

COLUMNS = ("what", "measured", "bound", "kept")


@dataclass(frozen=True, slots=True)
class Figure:
    """A row; `kept` is None for one that only tells."""

    what: str
    measured: int | float | str
    bound: str = ""
    kept: bool | None = None


def exactly(what: str, measured: int | str, expected: int | str) -> Figure:
    """A figure that must be this one."""
    return Figure(what, measured, f"{expected}", measured == expected)


def at_least(what: str, measured: float, bound: float, unit: str = "") -> Figure:
    """A figure that may not be smaller."""
    return Figure(what, _rounded(measured), f">= {bound}{unit}", measured >= bound)


def at_most(what: str, measured: float, bound: float, unit: str = "") -> Figure:
    """A figure that may not be larger."""
    return Figure(what, _rounded(measured), f"<= {bound}{unit}", measured <= bound)


def told(what: str, measured: float | str) -> Figure:
    """A figure without a bound."""
    return Figure(what, measured if isinstance(measured, str) else _rounded(measured))


@dataclass(slots=True)
class Report:
    """The figures of one run of a scenario.

    `skipped` says what is missing where it could not run; `notes` what broke, line by line.
    """

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def kept(self) -> bool:
        """Whether every bound was."""
        return all(figure.kept is not False for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"kept": self.kept}

    def as_text(self) -> str:
        """A row a figure, then the notes."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        rows = [_row(figure) for figure in self.figures]
        return "\n".join([*_table([COLUMNS, *rows]), *self.notes])


def _row(figure: Figure) -> tuple[str, ...]:
    kept = {None: "", True: "yes", False: "NO"}[figure.kept]
    return (figure.what, f"{figure.measured}", figure.bound, kept)


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _rounded(number: float) -> int | float:
    return number if isinstance(number, int) else round(number, 3)
