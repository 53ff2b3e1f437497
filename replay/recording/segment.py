"""One file of a recording while it is written: whole messages, then an index and an end."""

import json
from collections.abc import Mapping
from pathlib import Path

from mcap.writer import CompressionType, Writer

from rvsense import __version__
from rvsense.replay.recording import form
from rvsense.replay.recording.form import Message, RecordedKind
from rvsense.replay.recording.sink import Sink

_AT_ONCE = 0
"""A chunk for each message: each has its checksum, and each is in the index."""


class Segment:
    """Writes one MCAP file; heatmaps and JPEGs do not shrink, so nothing is compressed.

    Args:
        note: what the metadata record at the start says.

    Raises:
        OSError: the file cannot be made, or is there already; also by every method that writes,
            with the file as it was and the message in hand: `commit` tries again.
    """

    def __init__(self, path: Path, note: Mapping[str, object]) -> None:
        self.path = path
        self.messages = 0
        self._sink = Sink(path)
        # The library's type asks for more than it uses: write, tell and flush.
        self._writer = Writer(
            self._sink,  # type: ignore[arg-type]
            chunk_size=_AT_ONCE,
            compression=CompressionType.NONE,
            enable_data_crcs=True,
        )
        self._schemas: dict[RecordedKind, int] = {}
        self._channels: dict[tuple[str, RecordedKind], int] = {}
        self._writer.start(form.PROFILE, f"rvsense {__version__}")
        self._add_note(form.NOTE, note)  # goes out with the first message

    @property
    def size_bytes(self) -> int:
        """What the kernel has been handed."""
        return self._sink.size_bytes

    def note(self, name: str, values: Mapping[str, object]) -> None:
        """Add a metadata record."""
        self._add_note(name, values)
        self._sink.commit()

    def add(self, message: Message) -> None:
        """Add a message; when this returns, a kill cannot take it any more."""
        key = (message.site, message.kind)
        if key not in self._channels:
            self._channels[key] = self._writer.register_channel(
                form.topic(*key), form.ENCODING, self._schema(message.kind)
            )
        self.messages += 1
        self._writer.add_message(
            self._channels[key],
            log_time=max(message.received_ns, 0),
            data=form.join(message.parts),
            publish_time=max(message.stamp_ns, 0),
            sequence=self.messages % 2**32,
        )
        self._sink.commit()

    def commit(self) -> None:
        """Try again to hand over what the disk refused."""
        self._sink.commit()

    def sync(self) -> None:
        """Wait until all of it would outlive a power cut."""
        self._sink.sync()

    def close(self, note: Mapping[str, object]) -> None:
        """Write the end note, the index and the end.

        Where the disk refuses, the file ends at its last whole message, and can be read to there.
        """
        try:
            self.note(form.END_NOTE, note)
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._sink.commit()
            self._sink.sync()
        finally:
            self._sink.close()

    def _add_note(self, name: str, values: Mapping[str, object]) -> None:
        # Maps go as JSON, all else as text: that is all that metadata can hold.
        self._writer.add_metadata(
            name,
            {
                key: json.dumps(value) if isinstance(value, dict) else str(value)
                for key, value in values.items()
            },
        )

    def _schema(self, kind: RecordedKind) -> int:
        if kind not in self._schemas:
            text = form.SCHEMAS[kind].encode()
            self._schemas[kind] = self._writer.register_schema(f"rvsense/{kind}", "x-rvsense", text)
        return self._schemas[kind]
