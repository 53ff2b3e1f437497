"""Who may connect to the daemon as it is configured."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rvsense import keyring
from rvsense.config import Config
from rvsense.doctor.findings import Finding


def access(config: Config, exposed: Callable[[Config], list[str]]) -> Iterator[Finding]:
    """Keys and whom they let in; what other machines reach without any.

    `exposed` names the entrances that are open to other machines and have no lock.

    Raises:
        ConfigError: a key cannot be used.
    """
    opened = exposed(config)
    facts = {"curve": bool(config.access.keys), "exposed": opened}
    if config.access.keys:
        folder = Path(config.access.keys).expanduser()
        keyring.server_pair(folder)
        roles = [one.role for one in keyring.allowed(folder)]
        counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
        text = f"CURVE, keys in {folder} let in {counted or 'nobody yet'}"
    else:
        text = "no keys: this machine alone" if not opened else "no keys"
    if not opened:
        yield Finding("access", "good", text, facts=facts)
        return
    text += f"; open to other machines without a lock: {', '.join(opened)}"
    if config.access.insecure:
        remedy = "access.insecure allows it; `rvsense keys` is the lock, a proxy that of HTTP"
        yield Finding("access", "warn", text, remedy, facts)
    else:
        remedy = "the daemon refuses to start so: `rvsense keys`, loopback, or --insecure"
        yield Finding("access", "bad", text, remedy, facts)
