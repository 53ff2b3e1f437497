"""A damaged recording written anew: every whole message, with an index and an end."""

from contextlib import suppress
from pathlib import Path

from rvsense.disk import DiskError
from rvsense.errors import UsageError
from rvsense.replay.recording.form import END_NOTE, NOT_KNOWN, NOTE
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.recording.segment import Segment


def recover(path: Path, out: Path) -> tuple[int, list[str]]:
    """Copy what is whole of a recording into the folder `out`, under the same names.

    Returns:
        The number of messages saved, and what was wrong, a line each.

    Raises:
        DatasetError: there is no recording at `path`.
        UsageError: `out` cannot be written to, or has such a file.
        DiskError: the disk is full, or fails; nothing of this run is kept, so it can be repeated.
    """
    saved = 0
    damage: list[str] = []
    written: list[Path] = []
    try:
        for source in segments(path):
            count, wrong = _recover_file(source, out / source.name, written)
            saved += count
            damage += wrong
    except BaseException as error:
        for file in written:
            with suppress(OSError):
                file.unlink()
        if isinstance(error, OSError):
            raise DiskError(
                f"cannot write below {out}: {error.strerror}; nothing was kept: make room, or "
                "give a folder elsewhere"
            ) from None
        raise
    return saved, damage


def _recover_file(source: Path, target: Path, written: list[Path]) -> tuple[int, list[str]]:
    """Copy one file; `target` is among those `written` as soon as it is there."""
    findings, origin = Findings(), _origin(source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        segment = Segment(target, origin)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; give a new folder") from None
    written.append(target)
    noted = 0
    try:
        for message in messages(source, findings):
            # Notes go where they stood: those of sequences belong before their messages.
            noted = _copy_notes(findings, noted, segment)
            segment.add(message)
        _copy_notes(findings, noted, segment)
    finally:
        # Without its end nobody knows what the recorder could not keep.
        lost = findings.noted(END_NOTE, "lost") or NOT_KNOWN
        values = {"messages": segment.messages, "damage": len(findings.damage), "lost": lost}
        segment.close(values)
    return segment.messages, findings.damage


def _origin(source: Path) -> dict[str, str]:
    """The first note of what is written anew: the run that a file belongs to stays the same."""
    findings = Findings()
    next(messages(source, findings), None)
    run = findings.noted(NOTE, "recording")
    return {"recovered_from": source.name} | ({"recording": run} if run else {})


def _copy_notes(findings: Findings, start: int, segment: Segment) -> int:
    for note in findings.notes[start:]:
        if note.name not in (NOTE, END_NOTE):
            segment.note(note.name, note.metadata)
    return len(findings.notes)
