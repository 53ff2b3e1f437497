"""Every setting of rvsense, with its default, its bounds and one line that says why.

The dataclasses are the single source: command-line flags, the TOML file, `--print-config` and
the documentation are all read off them. Sections are frozen; a reload makes new ones.
"""

from dataclasses import dataclass

from rvsense.config.access import Access
from rvsense.config.learning import Learning
from rvsense.config.page import Page
from rvsense.config.recording import Recorder, Recording
from rvsense.config.replaying import Replay, Simulate
from rvsense.config.serving import Endpoints, Intake, Pairing, Serving
from rvsense.config.setting import MIB, setting

__all__ = [
    "MIB", "Access", "Config", "Endpoints", "Intake", "Learning", "Page", "Pairing", "Recorder",
    "Recording", "Replay", "Serving", "Simulate", "setting",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of a daemon and its learner."""

    state_dir: str = setting(
        "", "Models and checkpoints; empty = $STATE_DIRECTORY, else $XDG_STATE_HOME/rvsense."
    )
    seed: int = setting(0, "Seed of training, sampling and the choice of labels.", low=0)
    log_level: str = setting(
        "info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error")
    )
    learn: bool = setting(True, "Learn beside serving; false = serve only.")
    learner: str = setting("", "Endpoint of a learner that runs elsewhere; empty = start one.")
    endpoints: Endpoints = Endpoints()
    access: Access = Access()
    replay: Replay = Replay()
    intake: Intake = Intake()
    pairing: Pairing = Pairing()
    serving: Serving = Serving()
    learning: Learning = Learning()
    page: Page = Page()
    recording: Recording = Recording()
