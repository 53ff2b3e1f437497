"""The recorded side of the comparison is recorded, and both take in every frame."""

from pathlib import Path

import pytest

from bench.feeding import Run
from bench.recording import compare

INSTANTS = 20


@pytest.mark.process
def test_every_message_is_in_the_books_of_the_recording(tmp_path: Path) -> None:
    """Frames and answers of both runs; what was not kept is told as lost."""
    rate, cpu, recorded = compare(Run(INSTANTS, camera=True), 1, tmp_path)
    assert min(*rate.ours, *rate.theirs, *cpu.ours, *cpu.theirs) > 0
    kept, there_were = recorded.ours[0], recorded.theirs[0]
    # Radar with its answer and camera, and the last frame with its own; two runs.
    frames_and_answers = 2 * (3 * INSTANTS + 2)
    assert 0 < kept <= there_were <= frames_and_answers
    assert there_were >= frames_and_answers - 2  # the last answers may still be on their way
    assert len(list((tmp_path / "recording").iterdir())) == 1
