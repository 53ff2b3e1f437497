"""What stands in the way at `ipc://PATH`: ZeroMQ removes it, whatever it is, and listens there."""

import os
import socket
import stat

PATIENCE_S = 1.0


def in_the_way(endpoint: str) -> str:
    """Why nothing may listen at `endpoint`, to follow its name; empty where something may.

    A socket that nobody listens at any more is left over from one that was killed: it may go.
    """
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or path.startswith("@"):  # no path; of a name the kernel itself tells
        return ""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return "is a file"
    except OSError:
        return ""  # nothing is there, or nothing that could be removed
    return "is in use" if _listens(path) else ""


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # of another kind, or too busy to answer
            return True
    return True
