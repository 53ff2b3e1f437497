"""What became of the messages that a recorder was to keep. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from rvsense.replay.recording.form import Message


@dataclass(slots=True)
class Books:
    """Counts since the recorder began."""

    kept: Counter[str] = field(default_factory=Counter)
    sites: set[str] = field(default_factory=set)
    written_bytes: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """By reason: `tap` the recorder was too slow, `disk` there was no room, `form` it was not in
    the tap's form."""
    removed: list[str] = field(default_factory=list)
    """Files that made room for newer ones."""
    pauses: int = 0
    interruptions: int = 0
    """Times that the tap was lost and found again; what came in between is not known."""

    def keep(self, message: Message) -> None:
        """A message was written."""
        self.kept[message.kind] += 1
        self.sites.add(message.site)

    def as_map(self) -> dict[str, object]:
        """Plain values."""
        return {
            "messages": self.kept.total(),
            "kept": dict(self.kept),
            "sites": sorted(self.sites),
            "bytes": self.written_bytes,
            "lost": dict(self.lost),
            "files_removed": len(self.removed),
            "pauses": self.pauses,
            "interruptions": self.interruptions,
        }

    def as_text(self) -> str:
        """One line for a person."""
        kept = ", ".join(f"{self.kept[kind]} {kind}" for kind in sorted(self.kept)) or "nothing"
        text = f"kept {kept}; {self.written_bytes / 1e6:.1f} MB"
        for reason, count in sorted(self.lost.items()):
            text += f"; {count} lost ({reason})"
        if self.removed:
            text += f"; {len(self.removed)} files removed to make room"
        if self.interruptions:
            text += f"; {self.interruptions} interruptions"
        return text
