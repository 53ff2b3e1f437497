"""Labels out of a CSV file: one line per object, lines of the same frame make one scene. Pure.

Columns, named in the first line, in any order: `stamp` (see `when`), `class` (of which `empty`
needs no place), `range_m`, `azimuth_deg`; `site` unless it is given otherwise; `epoch` where a
clock started again; `purpose` (train or score).
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from rvsense.errors import UsageError
from rvsense.frames import SceneObject
from rvsense.labelling.scene import EMPTY, placed
from rvsense.labelling.when import stamp_ns

NEEDED = ("stamp", "class", "range_m", "azimuth_deg")
KNOWN = (*NEEDED, "site", "epoch", "purpose")
PURPOSES = ("train", "score")
ERRORS_TOLD = 10
EPOCH_DIGITS = 18
"""Those of the largest epochs that a message holds, less one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A label to be sent; `epoch` None: of whichever clock its frame is."""

    site: str
    stamp_ns: int
    epoch: int | None
    purpose: str
    objects: tuple[SceneObject, ...]

    @property
    def frame(self) -> tuple[int, str, int]:
        """What lines of the same scene share; sorts by time."""
        return (self.stamp_ns, self.site, -1 if self.epoch is None else self.epoch)


def read(lines: Iterable[str], name: str, *, site: str, purpose: str) -> list[Wanted]:
    """All labels of a file, oldest first.

    Args:
        lines: its text.
        name: what errors call it.
        site: of lines that name none; empty = each must.
        purpose: of lines that name none.

    Raises:
        UsageError: names the first bad lines, each with its number and what is wrong with it.
    """
    rows = csv.DictReader(lines, restkey="", restval="", strict=True)
    wanted: list[Wanted] = []
    errors: list[str] = []
    try:
        _check_columns(rows.fieldnames or (), site)
        for row in rows:
            try:
                wanted.append(_wanted(row, {"site": site, "purpose": purpose}))
            except UsageError as error:
                errors.append(f"{name}:{rows.line_num}: {error}")
    except (csv.Error, UsageError) as error:
        errors.append(f"{name}:{max(rows.reader.line_num, 1)}: {error}")
    if not errors:
        try:
            return list(_scenes(wanted))
        except UsageError as error:
            errors.append(f"{name}: {error}")
    more = len(errors) - ERRORS_TOLD
    told = errors[:ERRORS_TOLD] + ([f"and {more} more"] if more > 0 else [])
    raise UsageError("nothing was sent:\n" + "\n".join(told))


def _check_columns(columns: Iterable[str], site: str) -> None:
    given = list(columns)
    needed = NEEDED if site else (*NEEDED, "site")
    wrong = [f"column {column!r} is missing" for column in needed if column not in given]
    wrong += [f"column {column!r} is unknown" for column in given if column not in KNOWN]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}; the first line names {', '.join(KNOWN)}")


def _wanted(row: Mapping[str, str], defaults: Mapping[str, str]) -> Wanted:
    if "" in row:
        raise UsageError("more cells than columns")
    cells = dict(defaults)
    cells |= {key: text.strip() or cells.get(key, "") for key, text in row.items()}
    if not cells["site"]:
        raise UsageError("no site")
    if cells["purpose"] not in PURPOSES:
        raise UsageError(f"purpose {cells['purpose']!r}; {' or '.join(PURPOSES)} expected")
    epoch = cells.get("epoch", "")
    if epoch and not (epoch.isdecimal() and len(epoch) <= EPOCH_DIGITS):
        raise UsageError(f"epoch {epoch!r}; a whole number from 0 expected")
    place = (cells["range_m"], cells["azimuth_deg"])
    if cells["class"] == EMPTY and any(place):
        raise UsageError(f"{EMPTY} has no place; leave range_m and azimuth_deg out")
    objects = () if cells["class"] == EMPTY else (placed(cells["class"], *place),)
    moment_ns = stamp_ns(cells["stamp"])
    return Wanted(
        cells["site"], moment_ns, int(epoch) if epoch else None, cells["purpose"], objects
    )


def _scenes(wanted: list[Wanted]) -> Iterator[Wanted]:
    """Lines of the same frame as one label."""
    for _, group in groupby(sorted(wanted, key=lambda one: one.frame), lambda one: one.frame):
        lines = list(group)
        first = lines[0]
        if len({line.purpose for line in lines}) > 1:
            raise UsageError(f"{first.site} at {first.stamp_ns} has two purposes")
        if len(lines) > 1 and any(not line.objects for line in lines):
            raise UsageError(f"{first.site} at {first.stamp_ns} is {EMPTY} and is not")
        objects = tuple(item for line in lines for item in line.objects)
        yield Wanted(first.site, first.stamp_ns, first.epoch, first.purpose, objects)
