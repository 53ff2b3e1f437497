"""Who may reach the daemon."""

from dataclasses import dataclass

from rvsense.config.setting import setting


@dataclass(frozen=True, slots=True)
class Access:
    """Keys of those who may connect, and what is open without any."""

    keys: str = setting(
        "",
        "Folder of `rvsense keys`: intake, results and requests speak CURVE and let in whom it "
        "allows; empty = no encryption, no authentication, loopback and ipc only.",
    )
    learner_keys: str = setting(
        "",
        "Folder of this daemon's own keys for the learner at `learner`, as `rvsense keys new "
        "--role daemon` makes it there; empty = none, for one on this machine.",
    )
    max_connections: int = setting(
        256,
        "Connections at each of intake, results and requests; one more is ended. A subscriber "
        "that reads nothing holds a megabyte.",
        low=1,
        high=65_536,
    )
    insecure: bool = setting(
        False,
        "Listen beyond this machine without protection: anybody who reaches a port can read "
        "results, send frames and labels, and ask for reloads. HTTP never has protection.",
    )
