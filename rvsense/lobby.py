"""How many there are at each entrance, and how much they send: there is room for so many.

ZeroMQ takes every connection that it is offered, puts a queue behind each, remembers whatever
topics it subscribes to, and keeps a message until its last part has come. Its monitor tells of
connections; one too many, one that subscribes too often, and one whose message has no end is shut
down, which is to ZeroMQ as if the peer had hung up: it forgets all of it.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from rvsense.denials import Denials
from rvsense.endless import Endless
from rvsense.visitors import hang_up, received_bytes, source_of

BROKEN = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | BROKEN
MOST_TOPICS = 256
"""Subscriptions in the life of a connection; a client of one topic for each site needs 64."""
SUBSCRIBE, UNSUBSCRIBE = b"\x01", b"\x00"
BURST = 256
"""Events of an entrance that are looked at in a turn."""
LOOK_S = 0.1
"""Between two looks at what has come in on each connection."""
HELD_BACK_BYTES = 8 * 1024 * 1024
"""What the kernel may have taken in that ZeroMQ has not read yet (net.ipv4.tcp_rmem)."""


class Lobby:
    """Watches listening sockets; used from the thread that polls them.

    Args:
        most: connections that an entrance has room for.
    """

    def __init__(self, poller: zmq.Poller, most: int, denials: Denials) -> None:
        self._poller, self._most, self._denials = poller, most, denials
        self._monitors: dict[str, tuple[zmq.Socket[bytes], zmq.Socket[bytes]]] = {}
        self._inside: dict[str, dict[int, int]] = {}  # entrance → descriptor → inode
        self._endless: dict[str, Endless] = {}
        self._looked_s = 0.0
        self._topics: Counter[tuple[int, bytes]] = Counter()
        self._broken: set[str] = set()  # entrances with a handshake that failed, whose is told next
        self._full: set[int] = set()

    def watch(self, socket: "zmq.Socket[bytes]", entrance: str, large_parts: int = 1) -> None:
        """Look after a socket that is not bound yet, whose MAXMSGSIZE is set already.

        `large_parts` of a message may have that size; the others are headers.
        """
        monitor: zmq.Socket[bytes] = socket.get_monitor_socket(EVENTS)
        self._poller.register(monitor, zmq.POLLIN)
        self._monitors[entrance] = (socket, monitor)
        self._inside[entrance] = {}
        part_bytes = int(socket.getsockopt(zmq.MAXMSGSIZE))
        if part_bytes >= 0:
            self._endless[entrance] = Endless(large_parts * part_bytes + HELD_BACK_BYTES)

    def turn(self, ready: Mapping[Any, int], now_s: float) -> None:
        """Take note of who came and went; show out whom there is no room for."""
        for entrance, (_, monitor) in self._monitors.items():
            if monitor not in ready:
                continue
            for _ in range(BURST):
                if not monitor.poll(0):
                    break
                event = parse_monitor_message(monitor.recv_multipart())
                self._note(entrance, event["event"], event["value"], now_s)
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            for entrance in self._endless:
                self._look(entrance, now_s)

    def heard(self, entrance: str, message: zmq.Frame) -> None:
        """A whole message was taken in at an entrance."""
        if entrance in self._endless and (handle := source_of(message)) is not None:
            self._endless[entrance].heard(handle)

    def idle(self, entrance: str) -> None:
        """No whole message was waiting at an entrance."""
        if entrance in self._endless:
            self._endless[entrance].idle()

    def hears_out(self, entrance: str, message: zmq.Frame, now_s: float) -> bool:
        """Whether a connection may follow another topic, or one less; it is ended if it may not.

        So is one that says anything else here.
        """
        handle, what = source_of(message), message.bytes[:1]
        if handle is None:
            return False  # what ZeroMQ says itself of one that has gone
        if what not in (SUBSCRIBE, UNSUBSCRIBE):
            self._show_out(entrance, handle, "flood", now_s)
            return False
        self._topics[handle, what] += 1
        if self._topics[handle, what] <= MOST_TOPICS:
            return True
        self._show_out(entrance, handle, "topics", now_s)
        return False

    def show_out(self, entrance: str, message: zmq.Frame, reason: str, now_s: float) -> None:
        """End the connection that a message came through."""
        if (handle := source_of(message)) is not None:
            self._show_out(entrance, handle, reason, now_s)

    def connections(self) -> dict[str, int]:
        """How many there are at each entrance."""
        return {entrance: len(handles) for entrance, handles in self._inside.items()}

    def close(self) -> None:
        """Watch no more; to be called before the sockets are closed."""
        for socket, monitor in self._monitors.values():
            socket.disable_monitor()
            self._poller.unregister(monitor)
            monitor.close(linger=0)
        self._monitors.clear()

    def _look(self, entrance: str, now_s: float) -> None:
        received = {
            handle: count
            for handle in self._inside[entrance]
            if (count := received_bytes(handle)) is not None
        }
        for handle in self._endless[entrance].look(received):
            self._show_out(entrance, handle, "flood", now_s)

    def _show_out(self, entrance: str, handle: int, reason: str, now_s: float) -> None:
        inode = self._inside[entrance].pop(handle, None)
        if inode is not None:  # else it was ended, and this is what it left
            self._denials.note(entrance, reason, now_s)
            hang_up(handle, inode)

    def _note(self, entrance: str, event: int, handle: int, now_s: float) -> None:
        inside = self._inside[entrance]
        if event & BROKEN:
            self._broken.add(entrance)
        elif event == zmq.EVENT_DISCONNECTED:
            # Who was shown out before its handshake was over has been counted.
            if entrance in self._broken and handle not in self._full:
                self._denials.note(entrance, "handshake", now_s)
            self._broken.discard(entrance)
            self._full.discard(handle)
            inside.pop(handle, None)
            self._begin(entrance, handle)
        elif event == zmq.EVENT_ACCEPTED:
            self._full.discard(handle)
            self._begin(entrance, handle)  # what came late of who had this descriptor before
            with contextlib.suppress(OSError):  # it has gone already
                inside[handle] = os.fstat(handle).st_ino
            if len(inside) > self._most and handle in inside:
                self._denials.note(entrance, "full", now_s)
                self._full.add(handle)
                hang_up(handle, inside[handle])

    def _begin(self, entrance: str, handle: int) -> None:
        """Nothing is known yet of who has this descriptor."""
        for what in (SUBSCRIBE, UNSUBSCRIBE):
            self._topics.pop((handle, what), None)
        if entrance in self._endless:
            self._endless[entrance].forget(handle)
