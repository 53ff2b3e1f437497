"""Live devices: radars and cameras that send frame messages to a daemon.

A device is captured on a thread that never waits for anybody; what it captured waits in a short
line where the newest wins (`outlet`), is turned into a frame message and sent.
"""
