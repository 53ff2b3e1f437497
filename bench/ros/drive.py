"""ROS's Python synchroniser over one trace; run by the system's Python, which has rospy.

Run: python3 drive.py TRACE PAIRS QUEUE SLOP_NS. A trace has a line `radar|camera seq stamp_ns` for
each frame, in arrival order. PAIRS gets `radar_seq camera_seq` for each pair, as they came out; the
seconds of processor time that the frames took are printed. No master runs: a filter for each stream
is fed by hand.
"""

import sys
import time

import rospy
from message_filters import ApproximateTimeSynchronizer, SimpleFilter


class Message:
    """What the synchroniser reads, and the seq to know the message by."""

    __slots__ = ("header", "seq", "stamp")

    def __init__(self, seq: int, stamp_ns: int) -> None:
        self.seq = seq
        self.stamp = rospy.Time(*divmod(stamp_ns, 1_000_000_000))
        self.header = self


def main(trace: str, pairs: str, queue: str, slop_ns: str) -> None:
    """Feed the trace, write the pairs, print the seconds."""
    rospy.rostime.set_rostime_initialized(True)
    streams = {"radar": SimpleFilter(), "camera": SimpleFilter()}
    both = ApproximateTimeSynchronizer(list(streams.values()), int(queue), int(slop_ns) / 1e9)
    found: list[tuple[Message, Message]] = []
    both.registerCallback(lambda radar, camera: found.append((radar, camera)))
    with open(trace) as lines:
        frames = [line.split() for line in lines]
    feed = [
        (streams[stream].signalMessage, Message(int(seq), int(stamp)))
        for stream, seq, stamp in frames
    ]
    start_s = time.process_time()
    for signal, message in feed:
        signal(message)
    print(time.process_time() - start_s)
    with open(pairs, "w") as out:
        out.writelines(f"{radar.seq} {camera.seq}\n" for radar, camera in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
