"""Progress of a run that may have begun in an earlier one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

FORM = "{desc:>9} {percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} to go"


@contextmanager
def progress_bar(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error with the time that remains; nothing where that is no terminal.

    What it gives is told the amounts done. The first is of earlier runs, and no sign of speed.
    """
    with tqdm(desc=what, total=total, bar_format=FORM, smoothing=0.05, disable=None) as bar:
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
