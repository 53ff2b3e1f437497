"""Your own radar and camera: python own_device.py tcp://127.0.0.1:5560."""

import sys
import threading
import time

import msgpack
import numpy as np
import zmq


def radar(head):
    """Range-azimuth FFT of 4 chirps, real and imaginary: row 0 nearest, column 0 far left."""
    heatmap = np.random.normal(0, 0.02, (4, 128, 128, 2)).astype("<f4")
    heatmap[:, 40, int(time.time() * 20) % 128] += 0.8  # something walks by, 9 m away
    return head | {"kind": "radar", "shape": heatmap.shape, "dtype": "<f4"}, heatmap


def camera(head):
    """Plain pixels; what a camera sends as JPEG goes as it is, with {"codec": "jpeg"}."""
    picture = np.full((120, 160, 3), 90, np.uint8)
    picture[40:90, int(time.time() * 25) % 160] = 255
    return head | {"kind": "camera", "shape": picture.shape, "codec": "rgb8"}, picture


def send(capture, rate_hz):
    """Frames of one device: numbered, and stamped when they are captured, not when sent."""
    push = zmq.Context.instance().socket(zmq.PUSH)  # one socket per thread
    push.sndhwm, push.immediate = 2, 1  # what waits gets old
    push.connect(sys.argv[1])
    for seq in range(10**9):
        head, data = capture({"site": "mine", "epoch": 0, "seq": seq, "stamp_ns": time.time_ns()})
        if push.poll(0, zmq.POLLOUT):  # else nobody takes it: a hole in seq
            push.send_multipart([msgpack.packb(head | {"v": 1}), data])
        time.sleep(-time.time() % (1 / rate_hz))  # to the next beat, as a common trigger gives it


threading.Thread(target=send, args=(camera, 15), daemon=True).start()
send(radar, 30)
