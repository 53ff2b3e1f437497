"""Frames a second of `rvsense simulate`, over the 30 of the source it stands for; and by part.

    python -m bench.simulate [--quick] [--json FILE] [--jobs N]

A frame is one instant, radar and picture, written to a temporary folder as a dataset holds it;
the start of the processes counts. Before the table: the median time of radar, drawing and JPEG of
a frame of each class, in this process.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.sides import Row, options, report, rounds
from rvsense.config import Simulate
from rvsense.replay.simulate.plan import CONTENTS, SequencePlan
from rvsense.replay.simulate.run import simulate
from rvsense.replay.simulate.scene import Scene, to_jpeg

SOURCE_HZ = 30.0


def median_ms(act: Callable[[int], object], times: int = 15) -> float:
    """Median duration of `act(k)`, milliseconds."""
    durations = []
    for k in range(times):
        began = time.perf_counter()
        act(k)
        durations.append(time.perf_counter() - began)
    return 1e3 * statistics.median(durations)


def simulating_hz(settings: Simulate) -> float:
    """Frames a second of one whole run."""
    with tempfile.TemporaryDirectory() as folder:
        return simulate(Path(folder) / "cruw", settings).frames_per_second


def parts_of(content_index: int) -> str:
    """A line on what a frame of one class costs."""
    content = CONTENTS[content_index]
    scene = Scene(SequencePlan(content_index, 0, content, "train", "X"), seed=0, frames=30)
    pictures = scene.pictures()
    picture = next(pictures)
    radar = median_ms(scene.radar)
    draw = median_ms(lambda _: next(pictures))
    jpeg = median_ms(lambda _: to_jpeg(picture))
    return f"{content:>10}: radar {radar:.1f} ms, picture {draw:.1f} ms, JPEG {jpeg:.1f} ms"


def main() -> None:
    """Time the parts, then whole runs."""
    parser = options(__doc__, "bench.simulate")
    parser.add_argument("--jobs", type=int, default=2, help="processes that simulate")
    arguments = parser.parse_args()
    sequences, count = (2, 3) if arguments.quick else (40, 5)
    for index in range(len(CONTENTS)):
        print(parts_of(index), flush=True)
    print()
    settings = Simulate(sequences=sequences, jobs=arguments.jobs)
    hz = rounds(count, lambda: simulating_hz(settings), lambda: SOURCE_HZ)
    row = Row("simulator", *hz, "frames/s", "the source")
    threads = f"1 for each of {arguments.jobs} processes"
    report([row], threads=threads, path=arguments.json)


if __name__ == "__main__":
    main()
