"""By what names browsers may ask for pages, so that DNS rebinding reads nothing. Pure.

Another site that a browser has open may let its own name lead to this machine: its script then
reads our pages as if they were that site's. What tells is the Host header: it holds that name.

Rules:
1. An IP address is let in: no site's name is one. So is no Host at all: browsers always send one.
2. Of names, localhost and the given ones are let in, whatever their case and port.
3. Some pages are for everyone: who scrapes metrics or looks for life may use any name.
"""

import ipaddress
import re
from collections.abc import Collection

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::[0-9]*)?", re.ASCII)


class Guard:
    """Lets requests in by the name that they use.

    Args:
        names: that lead here, in any case; empty ones are none.
        for_everyone: the paths that may be asked for by any name.
    """

    def __init__(self, names: Collection[str], for_everyone: Collection[str] = ()) -> None:
        self._names = {"localhost", *map(_plain, filter(None, names))}
        self._for_everyone = frozenset(for_everyone)

    def refusal(self, path: str, header: str | None) -> str | None:
        """What a request is told that is not let in; None for one that is.

        Args:
            header: the Host header as it came; None without one.
        """
        if header is None or path in self._for_everyone:
            return None
        match = _HOST.fullmatch(header.strip())
        if match and (_is_address(match[1]) or _plain(match[1]) in self._names):
            return None
        return (
            "this daemon does not go by the name that you used: use its IP address, or add the "
            "name to page.hosts\n"
        )


def _plain(name: str) -> str:
    return name.strip().lower().removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
