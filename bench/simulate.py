"""Frames a second of `rvsense simulate`, whole and by part.

`python bench/simulate.py [--jobs N]` writes a dataset to a temporary folder, then times radar,
drawing and JPEG of one frame of each class in this process. Medians; figures are of this machine.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rvsense.config import Simulate
from rvsense.replay.simulate.plan import CONTENTS, SequencePlan
from rvsense.replay.simulate.run import simulate
from rvsense.replay.simulate.scene import Scene, to_jpeg


def median_ms(act: Callable[[int], object], times: int = 15) -> float:
    """Median duration of `act(k)`, milliseconds."""
    durations = []
    for k in range(times):
        began = time.perf_counter()
        act(k)
        durations.append(time.perf_counter() - began)
    return 1e3 * statistics.median(durations)


def main() -> None:
    """Time a run and its parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sequences", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = simulate(
            Path(folder) / "cruw", Simulate(sequences=arguments.sequences, jobs=arguments.jobs)
        )
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(
        f"{report.frames} frames in {report.seconds:.1f} s with {arguments.jobs} processes: "
        f"{report.frames_per_second:.1f} frames/s, {size / report.frames / 1e6:.2f} MB a frame"
    )
    for index, content in enumerate(CONTENTS):
        scene = Scene(SequencePlan(index, 0, content, "train", "X"), seed=0, frames=30)
        pictures = scene.pictures()
        picture = next(pictures)
        radar = median_ms(scene.radar)
        draw = median_ms(lambda _, pictures=pictures: next(pictures))  # type: ignore[misc]
        jpeg = median_ms(lambda _, picture=picture: to_jpeg(picture))  # type: ignore[misc]
        print(f"{content:>10}: radar {radar:.1f} ms, picture {draw:.1f} ms, JPEG {jpeg:.1f} ms")


if __name__ == "__main__":
    main()
