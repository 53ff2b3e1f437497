"""What can be played: a dataset in any layout, or a recording."""

import os
from pathlib import Path

from rvsense.replay.layouts import open_dataset
from rvsense.replay.recording.playing import Recording
from rvsense.replay.recording.reader import is_recording
from rvsense.replay.sequence import Dataset

Source = Dataset | Recording


def open_source(path: str | os.PathLike[str]) -> Source:
    """The recording or dataset at `path`.

    Raises:
        DatasetError: there is neither, or nothing in it; says what was looked for and where.
    """
    at = Path(os.path.abspath(path))
    return Recording(at) if is_recording(at) else open_dataset(at)
