"""Follow a daemon with pyzmq and msgpack alone: python plain_subscriber.py [ENDPOINT [KEYS]]."""

import pathlib
import sys

import msgpack
import zmq

endpoint, *keys = sys.argv[1:] or ["tcp://127.0.0.1:5561"]
socket = zmq.Context().socket(zmq.SUB)
if keys:
    read = lambda name: (pathlib.Path(keys[0]) / name).read_bytes().strip()  # noqa: E731
    socket.curve_publickey, socket.curve_secretkey = read("client.pub"), read("client.key")
    socket.curve_serverkey = read("server.pub")
socket.subscribe("classification/")
socket.connect(endpoint)
while True:
    topic, body = socket.recv_multipart()
    result = msgpack.unpackb(body)
    answer = result["label"] or f"({result['abstain']})"
    confidence = max(result["probs"].values(), default=0)
    print(result["site"], result["stamp_ns"], answer, f"{confidence:.2f}", flush=True)
