"""Labels on their way to a daemon, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rvsense.errors import UsageError
from rvsense.frames import SceneObject
from rvsense.labelling.when import Frame
from rvsense.requesting import Requester

USED = frozenset({"taught", "examined", "scored", "waiting", "not_sent"})
"""What becomes of a label that is not lost."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A label and its end: the daemon's word (docs/protocol.md), or ours where it was not sent.

    Ours: `not_sent` (a dry run), `no_site`, and `ahead` (too many wait for their frame already).
    """

    site: str
    epoch: int | None
    stamp_ns: int
    objects: tuple[SceneObject, ...]
    use: str

    def as_map(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "site": self.site,
            "epoch": self.epoch,
            "stamp_ns": self.stamp_ns,
            "objects": _maps(self.objects),
            "use": self.use,
        }


class Sender:
    """Sends labels to one daemon.

    Args:
        requester: the daemon.
        dry: send nothing, only say which frames would be labelled.
    """

    def __init__(self, requester: Requester, *, dry: bool = False) -> None:
        self._requester, self._dry = requester, dry

    def held(self) -> dict[str, list[Frame]]:
        """The frames that a label may still name, by site."""
        frames = self._requester.ask("frames")["frames"]
        return {site: [(epoch, stamp) for epoch, stamp in of] for site, of in frames.items()}

    def site(self, name: str) -> str:
        """This site, if the daemon knows it; for an empty name the only one there is.

        Raises:
            UsageError: there is none such, or no telling which is meant; names those there.
        """
        there = sorted(self.held())
        if name in there:
            return name
        if not name and len(there) == 1:
            return there[0]
        known = ", ".join(there) or "none, no frame has come yet"
        asked = f"there is no site {name!r}" if name else "which site? give --site NAME"
        raise UsageError(f"{asked}; sites of {self._requester.endpoint}: {known}")

    def send(self, site: str, frame: Frame, objects: tuple[SceneObject, ...], purpose: str) -> Sent:
        """Label this frame.

        Raises:
            NoAnswerError: the daemon has gone.
            RefusedError: it does not take the label.
        """
        epoch, stamp_ns = frame
        if self._dry:
            return Sent(site, epoch, stamp_ns, objects, "not_sent")
        reply = self._requester.ask(
            "label",
            site=site,
            epoch=epoch,
            stamp_ns=stamp_ns,
            objects=_maps(objects),
            purpose=purpose,
        )
        return Sent(site, epoch, stamp_ns, objects, str(reply["use"]))


def _maps(objects: Sequence[SceneObject]) -> list[dict[str, Any]]:
    return [
        {"class": item.label, "range_m": item.range_m, "azimuth_rad": item.azimuth_rad}
        for item in objects
    ]
