"""What of a recording is whole: every record of every file is read, nothing is changed."""

import ast
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from rvsense import jsontext
from rvsense.errors import DatasetError
from rvsense.replay.recording.form import END_NOTE, NOTE, Message
from rvsense.replay.recording.reader import Findings, messages, segments

LONGEST_NOTE = 1000
SHOWN = 10
"""Lines of damage in the text for a person; all of them are in the map."""


@dataclass(slots=True)
class FileReport:
    """One file: what it holds, whether it was closed in order, and where it is damaged."""

    path: Path
    size_bytes: int
    findings: Findings = field(default_factory=Findings)
    counts: Counter[str] = field(default_factory=Counter)
    sites: set[str] = field(default_factory=set)
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def recording(self) -> str | None:
        """Which run of a recorder wrote it; None for other writers' files."""
        return self.findings.noted(NOTE, "recording")

    @property
    def whole(self) -> bool:
        """Closed in order, and every checksum is right."""
        return self.findings.finished and not self.findings.damage

    def take(self, message: Message) -> None:
        """Count a message."""
        self.counts[message.kind] += 1
        self.sites.add(message.site)
        if self.first_ns is None:
            self.first_ns = message.received_ns
        self.last_ns = message.received_ns


@dataclass(frozen=True, slots=True)
class Report:
    """A recording, file by file in playing order."""

    path: Path
    files: list[FileReport]

    @property
    def whole(self) -> bool:
        """Nothing is damaged, and every file has its end."""
        return all(file.whole for file in self.files)

    @property
    def counts(self) -> Counter[str]:
        """Messages that can be read, by kind."""
        return sum((file.counts for file in self.files), Counter())

    @property
    def damage(self) -> list[str]:
        """What is wrong, a line each with the name of the file."""
        return [line for file in self.files for line in file.findings.damage]

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        firsts = [file.first_ns for file in self.files if file.first_ns is not None]
        lasts = [file.last_ns for file in self.files if file.last_ns is not None]
        return (max(lasts) - min(firsts)) / 1e9 if firsts and lasts else 0.0

    @property
    def lost(self) -> Counter[str] | None:
        """What could not be kept, by reason: the last word of each run, summed.

        None where a run was killed before it could say.
        """
        runs = {file.recording: _lost(file.findings.noted(END_NOTE, "lost")) for file in self.files}
        known = [lost for lost in runs.values() if lost is not None]
        return sum(known, Counter()) if len(known) == len(runs) else None

    def as_map(self) -> dict[str, object]:
        """Plain values."""
        return {
            "path": str(self.path),
            "whole": self.whole,
            "messages": self.counts.total(),
            "kept": dict(self.counts),
            "sites": sorted(set[str]().union(*(file.sites for file in self.files))),
            "seconds": round(self.seconds, 3),
            "bytes": sum(file.size_bytes for file in self.files),
            "skipped": sum(file.findings.skipped for file in self.files),
            "lost": None if self.lost is None else dict(self.lost),
            "damage": self.damage,
            "files": [
                {
                    "name": file.path.name,
                    "whole": file.whole,
                    "messages": file.counts.total(),
                    "bytes": file.size_bytes,
                    "whole_bytes": file.findings.whole_bytes,
                }
                for file in self.files
            ],
        }

    def _lost_text(self) -> str:
        if self.lost is None:
            return "not known, nobody was left to say it"
        return ", ".join(f"{n} ({why})" for why, n in sorted(self.lost.items())) or "nothing"

    def as_text(self) -> str:
        """A few lines for a person."""
        kept = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items()))
        files = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        lines = [
            f"{self.path}: {'whole' if self.whole else 'NOT WHOLE'}; {files}, "
            f"{kept or 'no message'} in {self.seconds:.1f} s; lost while recording: "
            + self._lost_text()
        ]
        lines += self.damage[:SHOWN]
        if len(self.damage) > SHOWN:
            lines.append(f"… and {len(self.damage) - SHOWN} more")
        if not self.whole and kept:
            remedy = f"`rvsense record --recover OUT {quote(str(self.path))}` writes it anew"
            lines.append(f"what can be read is played as it is; {remedy}")
        return "\n".join(lines)


def check(path: Path) -> Report:
    """Read a recording to its end.

    Raises:
        DatasetError: there is none at `path`, or a file of it cannot be read.
    """
    files = []
    for segment in segments(path):
        try:
            file = FileReport(segment, segment.stat().st_size)
            for message in messages(segment, file.findings):
                file.take(message)
        except OSError as error:
            raise DatasetError(f"{segment} cannot be read: {error.strerror}") from None
        files.append(file)
    return Report(path, files)


def _lost(text: str | None) -> Counter[str] | None:
    """What an end note says: a map as JSON, or as earlier versions wrote it."""
    if text is None or len(text) > LONGEST_NOTE:
        return None
    try:
        try:
            values = jsontext.parse(text)
        except ValueError:
            values = ast.literal_eval(text)
        return Counter({str(why): int(count) for why, count in dict(values).items()})
    except (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError):
        return None  # the last two are how Python's own parser refuses what has no end
