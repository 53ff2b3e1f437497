"""Whether the daemon lets itself be recorded, and how much a recorder keeps."""

from dataclasses import dataclass

from rvsense.config.setting import setting


@dataclass(frozen=True, slots=True)
class Recording:
    """The daemon's side: a tap that a recorder asks for; closed while nobody does."""

    allowed: bool = setting(
        True, "false = `rvsense record` is refused; frames then leave no copy anywhere."
    )
    waiting_messages: int = setting(
        256,
        "Messages that wait for the recorder (0.5 MB a radar frame); beyond it the newest are not "
        "recorded, and counted. Nothing else waits.",
        low=1,
        high=65_536,
    )


@dataclass(frozen=True, slots=True)
class Recorder:
    """What `rvsense record` keeps of what it gets."""

    segment_mb: int = setting(512, "A new file after this many MB.", low=1, high=1_000_000)
    segment_s: float = setting(600.0, "A new file after this many seconds.", low=1.0, high=86_400.0)
    most_gb: float = setting(
        100.0, "The oldest file goes when the recording holds more.", low=0.001, high=1e6
    )
    free_gb: float = setting(
        5.0, "The oldest file goes when less is left on the disk.", low=0.0, high=1e6
    )
