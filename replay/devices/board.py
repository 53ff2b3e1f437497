"""What must be known of a radar board to read its ADC samples, checked.

The default is CRUW's radar: two transmitters, 255 loops, 128 samples at 4 MHz.
"""

from dataclasses import dataclass, field

from rvsense.errors import ConfigError
from rvsense.grids import range_grid_m
from rvsense.replay.dsp import RECEIVERS, TRANSMITTERS, Profile

BYTES_PER_SAMPLE = 4
"""Two words of 16 bits: the real and the imaginary part."""

CHIRPS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Control:
    """How the board is set up over its serial line, beyond what the profile says (times in µs)."""

    device: str
    port: str | None = None
    idle_us: float = 20.0
    adc_start_us: float = 7.0
    ramp_end_us: float = 40.0
    tx_start_us: float = 1.0


@dataclass(frozen=True, slots=True)
class Board:
    """One radar: chirps, antennas and how their samples are laid out. Units are in the names."""

    carrier_ghz: float = 77.0
    slope_mhz_per_us: float = 21.0017
    sample_rate_ksps: float = 4000.0
    samples: int = 128
    loops: int = 255
    """Times that the transmitters take turns in a frame."""
    period_ms: float = 100.0 / 3
    transmitters: int = TRANSMITTERS
    """Chirps of a loop, one for each transmitter."""
    azimuth_transmitters: tuple[int, ...] = (0, 1)
    """The two whose eight virtual antennas are one row half a wavelength apart, by their turn."""
    keep_loops: tuple[int, ...] = ()
    """Loops that become a frame's chirps; four spread over the frame when empty."""
    sample_order: str = "IQ"
    """What comes first in a group of two samples on two lanes: I, I, Q, Q or Q, Q, I, I."""
    upside_down: bool = False
    """Mounted with the connectors up: left and right change places."""
    full_scale: float = 1e4
    """Divides the map; CRUW's. Another receiver gain asks for another."""
    control: Control | None = field(default=None)

    def __post_init__(self) -> None:
        _check(self)
        if not self.keep_loops:
            spread = tuple(-(-nth * self.loops // CHIRPS_KEPT) for nth in range(CHIRPS_KEPT))
            object.__setattr__(self, "keep_loops", spread)

    @property
    def profile(self) -> Profile:
        """The chirp as the processing chain knows it."""
        return Profile(
            carrier_hz=self.carrier_ghz * 1e9,
            slope_hz_per_s=self.slope_mhz_per_us * 1e12,
            sample_rate_hz=self.sample_rate_ksps * 1e3,
            samples=self.samples,
            full_scale=self.full_scale,
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame on the wire."""
        return self.loops * self.transmitters * RECEIVERS * self.samples * BYTES_PER_SAMPLE

    @property
    def period_ns(self) -> int:
        """From frame to frame."""
        return round(self.period_ms * 1e6)


def _check(board: Board) -> None:
    """Raises ConfigError, naming the value, where the chain would compute nonsense."""
    positive = ("carrier_ghz", "slope_mhz_per_us", "sample_rate_ksps", "period_ms", "full_scale")
    for name in positive:
        if not 0 < getattr(board, name) < 1e9:
            raise ConfigError(f"{name} is {getattr(board, name)}; a positive number expected")
    ranges = {"samples": (16, 4096), "loops": (CHIRPS_KEPT, 4096), "transmitters": (2, 12)}
    for name, (low, high) in ranges.items():
        if not low <= getattr(board, name) <= high:
            raise ConfigError(f"{name} is {getattr(board, name)}; {low} to {high} expected")
    turns = board.azimuth_transmitters
    if len(set(turns)) != TRANSMITTERS or not set(turns) <= set(range(board.transmitters)):
        raise ConfigError(
            f"azimuth_transmitters is {list(turns)}; two different turns below "
            f"{board.transmitters} expected (0, 2 where the second is the raised one)"
        )
    kept = board.keep_loops
    if kept and (list(kept) != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < board.loops):
        raise ConfigError(f"keep_loops is {list(kept)}; rising numbers below {board.loops} wanted")
    if len(kept) > 16:
        raise ConfigError(f"keep_loops has {len(kept)} entries; a frame message has 16 at most")
    if board.sample_order not in ("IQ", "QI"):
        raise ConfigError(f"sample_order is {board.sample_order!r}; IQ or QI expected")
    if board.control is not None:
        _check_control(board, board.control)
    _check_reach(board)


def _check_control(board: Board, control: Control) -> None:
    for name in ("idle_us", "adc_start_us", "ramp_end_us", "tx_start_us"):
        if not 0 <= getattr(control, name) < 10_000:
            raise ConfigError(f"[control] {name} is {getattr(control, name)}; 0 to 10000 expected")
    sampled_us = control.adc_start_us + board.samples / board.sample_rate_ksps * 1e3
    if sampled_us > control.ramp_end_us:
        raise ConfigError(
            f"[control] ramp_end_us is {control.ramp_end_us}; the last sample is taken after "
            f"{sampled_us:.1f} us"
        )
    chirps = board.loops * board.transmitters
    if (needed_ms := chirps * (control.idle_us + control.ramp_end_us) / 1e3) > board.period_ms:
        raise ConfigError(
            f"period_ms is {board.period_ms:.2f}; {chirps} chirps of idle_us and ramp_end_us take "
            f"{needed_ms:.2f}"
        )


def _check_reach(board: Board) -> None:
    """A beat above the sampling rate is folded back: it would show a far echo as a near one."""
    profile = board.profile
    reach_m = profile.sample_rate_hz / float(profile.beat_hz(1.0))
    last_m = float(range_grid_m()[-1])
    if reach_m <= last_m:
        raise ConfigError(
            f"this chirp sees {reach_m:.1f} m far, and the maps reach {last_m:.1f} m: raise "
            "sample_rate_ksps or lower slope_mhz_per_us"
        )


CRUW = Board()
