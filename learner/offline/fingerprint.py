"""A name for the content of a dataset, so that results of one are never taken for another's."""

import hashlib
from collections.abc import Sequence

from rvsense.errors import FrameError
from rvsense.learner.offline.gather import Recording

FRAMES_READ = 3
"""Of each recording: a data set written anew under the old names differs in any of them."""


def fingerprint(recordings: Sequence[Recording]) -> str:
    """Hex digest of names, sites, capture times and annotations, and of a few frames themselves.

    Most frames are not read, so a change to single files that keeps their stamps is not noticed.
    """
    digest = hashlib.sha256()
    for recording in recordings:
        paired = sorted(recording.radar_ns.keys() & recording.camera_ns.keys())
        stamps = [(i, recording.radar_ns[i], recording.camera_ns[i]) for i in paired]
        said = [recording.objects(i) for i in paired]
        digest.update(repr((recording.name, recording.site, stamps, said)).encode())
        for frame_id in paired[:: max(len(paired) // FRAMES_READ, 1)]:
            digest.update(_content(recording, frame_id))
    return digest.hexdigest()


def _content(recording: Recording, frame_id: int) -> bytes:
    try:
        radar, camera = recording.read_radar(frame_id), recording.read_camera(frame_id)
    except FrameError as error:
        return error.reason.encode()
    return bytes(radar.heatmap.tobytes() + camera.image)
