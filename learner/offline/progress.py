"""Progress of a run that may have begun in an earlier one."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

FORM = "{desc:>9} {percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} to go"
LINES = 20
"""How many a log gets at most."""
ROUNDING = 1e-6
"""A sum of amounts may fall short of the total by less."""


@contextmanager
def progress_bar(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error with the time that remains; a few lines where that is no terminal.

    What it gives is told the amounts done. The first is of earlier runs, and no sign of speed.
    """
    if not sys.stderr.isatty():
        yield _lines(what, total)
        return
    with tqdm(desc=what, total=total, bar_format=FORM, smoothing=0.05) as bar:
        began = False

        def advance(amount: float) -> None:
            nonlocal began
            if began:
                bar.update(amount)
            else:
                began = True
                bar.initial = bar.n = bar.last_print_n = amount
                bar.refresh()

        yield advance


def _lines(what: str, total: float) -> Callable[[float], None]:
    began_s = time.monotonic()
    earlier: float | None = None
    done, told = 0.0, -1

    def advance(amount: float) -> None:
        nonlocal earlier, done, told
        done += amount
        earlier = amount if earlier is None else earlier
        if (line := int(LINES * done / total + ROUNDING)) <= told:
            return
        told = line
        gone_s, now_done = time.monotonic() - began_s, done - earlier
        to_go = tqdm.format_interval(gone_s / now_done * (total - done)) if now_done else "?"
        gone = tqdm.format_interval(gone_s)
        print(
            f"{what} {done / total:4.0%}, {gone} gone, {to_go} to go", file=sys.stderr, flush=True
        )

    return advance
