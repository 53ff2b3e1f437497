"""What is read of a damaged recording, against the whole one."""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from rvsense.errors import DatasetError
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.reader import Findings, messages
from tests.chaos.damage import Damage
from tests.chaos.wreck import NAMED, Verdict

FRAMING = struct.Struct("<BQ")
"""Kind and length of a record."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message: its digest, and where the record that holds it ends."""

    digest: str
    end: int


def survey(path: Path) -> list[Recorded]:
    """All messages of a whole file."""
    findings, found = Findings(), []
    content = path.read_bytes()
    for message in messages(path, findings):
        _, length = FRAMING.unpack_from(content, findings.whole_bytes)
        found.append(Recorded(_digest(message), findings.whole_bytes + FRAMING.size + length))
    assert findings.finished
    assert not findings.damage
    return found


def check(whole: list[Recorded], folder: Path, damage: Damage) -> Verdict:
    """Everything that had ended before the damage comes, nothing is made up, and it is said."""
    findings, read = Findings(), []
    try:
        read = [_digest(message) for message in messages(folder / damage.name, findings)]
    except DatasetError as error:
        wrong = [] if damage.kind == "gone" and damage.name in str(error) else [str(error)]
        return Verdict(NAMED, wrong)
    verdict = Verdict(NAMED)
    before = [message.digest for message in whole if message.end <= damage.offset]
    order = [message.digest for message in whole]
    places = [order.index(digest) for digest in read if digest in order]
    if read[: len(before)] != before:
        verdict.wrong.append("messages before the damage are lost")
    if len(places) < len(read) or places != sorted(set(places)):
        verdict.wrong.append("messages that nobody recorded")
    if not any(damage.name in line for line in findings.damage):
        verdict.wrong.append("not named")
    return verdict


def _digest(message: Message) -> str:
    facts = f"{message.kind} {message.site} {message.received_ns} {message.stamp_ns}".encode()
    digest = hashlib.sha256(facts)
    for part in message.parts:
        digest.update(part)
    return digest.hexdigest()
