"""The page for people at `/`."""

from dataclasses import dataclass

from rvsense.config.setting import setting


@dataclass(frozen=True, slots=True)
class Page:
    """What the live page shows, and to how many."""

    camera: bool = setting(
        False, "Show camera images; false = no byte of them can be had over HTTP."
    )
    viewers: int = setting(
        8, "Pages that may be open at once; one more is refused, and says so.", low=1, high=64
    )
    hosts: str = setting(
        "", "Names for the page besides localhost and this machine's own, separated by commas."
    )
