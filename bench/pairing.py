"""Frames per second through the pairing core, by the number of frames pending and arrival order.

Run: python bench/pairing.py [--quick]. The pending queue is set by the lateness: a stream of 30 fps
holds lateness x 30 frames. The goal is 200,000 frames/s, and flat.
"""

import argparse
import random
import statistics
import time

from rvsense.config import Pairing
from rvsense.daemon.decisions import Frame, Stream
from rvsense.daemon.pairing import Pairer

RATE_HZ = 30
STREAMS: tuple[Stream, Stream] = ("radar", "camera")


def make_frames(count: int, seed: int) -> list[Frame]:
    """Both streams in the order of capture: 15 ms offset, 1.5 ms jitter, 5 % loss."""
    rng = random.Random(seed)
    frames = []
    for k in range(count // 2):
        for stream in STREAMS:
            offset_ms = 15 if stream == "radar" else 0
            stamp_ns = round((k * 1000 / RATE_HZ + offset_ms + rng.gauss(0, 1.5)) * 1e6)
            if rng.random() >= 0.05:
                frames.append(Frame(stream, k, stamp_ns, 0, 500_000, stamp_ns))
    return sorted(frames, key=lambda frame: frame.stamp_ns)


def delayed(frames: list[Frame], lateness_ns: int, seed: int) -> list[Frame]:
    """The frames in an arrival order in which each is late by at most the lateness."""
    rng = random.Random(seed)
    arrivals = [(frame.stamp_ns + rng.randint(0, lateness_ns), frame) for frame in frames]
    return [frame for _, frame in sorted(arrivals, key=lambda arrival: arrival[0])]


def measure(settings: Pairing, frames: list[Frame]) -> tuple[float, int, int]:
    """(frames per second, radar frames pending at the end, pairs) of one run."""
    pairer = Pairer(settings)
    push = pairer.push
    start_s = time.perf_counter()
    for frame in frames:
        push(frame)
    elapsed_s = time.perf_counter() - start_s
    pending = pairer.ledger().radar.pending
    pairer.flush()
    return len(frames) / elapsed_s, pending, pairer.ledger().radar.paired


def main() -> None:
    """Print one line for each queue length and arrival order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames and runs")
    quick = parser.parse_args().quick
    count, runs = (20_000, 3) if quick else (100_000, 7)
    frames = make_frames(count, seed=0)
    print(f"{'pending':>8} {'order':>9} {'frames/s':>10} {'min':>9} {'max':>9} {'pairs':>8}")
    for queue in (10, 100, 1000):
        lateness_s = queue / RATE_HZ
        settings = Pairing(
            lateness_s=lateness_s,
            idle_timeout_s=lateness_s + 2,
            max_pending_frames=4 * queue + 100,
            max_pending_bytes=1 << 40,
        )
        for order in ("in order", "shuffled"):
            arrivals = frames
            if order == "shuffled":
                arrivals = delayed(frames, round(lateness_s * 1e9), seed=1)
            results = [measure(settings, arrivals) for _ in range(runs)]
            rates = [rate for rate, _, _ in results]
            _, pending, pairs = results[0]
            print(
                f"{pending:>8} {order:>9} {statistics.median(rates):>10,.0f} "
                f"{min(rates):>9,.0f} {max(rates):>9,.0f} {pairs:>8}"
            )


if __name__ == "__main__":
    main()
