"""Sets up a TI board and its DCA1000 by xwr, lets them run, and stops them.

xwr speaks to the board's demo firmware over a serial line and to the capture card over UDP. The
packets themselves are received here (`packets`): stamped by the kernel, holes never filled.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rvsense.errors import ConfigError, RvsenseError
from rvsense.replay.devices.board import BYTES_PER_SAMPLE, Board, Control
from rvsense.replay.devices.packets import Port

CARD = ("192.168.33.180", 4096)
"""Where a DCA1000 listens as delivered."""
SAMPLE_ORDER = "QI"
"""How xwr sets up the boards: the imaginary part comes first."""


@contextmanager
def running_board(
    board: Board, listen: tuple[str, int], card: tuple[str, int] = CARD
) -> Iterator[Port]:
    """A board that is set up as `board` says and sends to `listen`, while the context lasts.

    Raises:
        ConfigError: xwr is not installed, or the profile is not what xwr would set up.
        RvsenseError: board or card do not answer, or refuse.
    """
    control = check_control(board)
    system = None
    try:
        system = _system(board, control, listen, card)
        system.stream()  # sets up and starts; the packets are not read by it
        yield Port(system.dca.data_socket, board.frame_bytes, card[0])
    except (OSError, TimeoutError) as error:
        raise RvsenseError(
            f"the {control.device} or its DCA1000 at {card[0]}:{card[1]} does not answer "
            f"({error}): check power, the network cable, and that this machine is {listen[0]}"
        ) from error
    except _xwr_errors() as error:
        raise RvsenseError(f"the {control.device} refused: {error}") from error
    finally:
        if system is not None:
            _stop(system)


def check_control(board: Board) -> Control:
    """What is to be set up, if xwr would set up just that.

    Raises:
        ConfigError: it would not.
    """
    control = board.control
    if control is None:
        raise ConfigError("the profile has no [control]: nothing says how to set up the board")
    if board.sample_order != SAMPLE_ORDER:
        raise ConfigError(
            f'boards that are set up here send Q first: sample_order = "{SAMPLE_ORDER}" expected'
        )
    device = _device(control)
    if board.transmitters != device.NUM_TX:
        raise ConfigError(
            f"transmitters is {board.transmitters}; a {control.device} is set up with "
            f"{device.NUM_TX}"
        )
    return control


def _system(board: Board, control: Control, listen: tuple[str, int], card: tuple[str, int]) -> Any:
    import xwr

    return xwr.XWRSystem(
        radar=xwr.XWRConfig(
            device=control.device,
            frequency=board.carrier_ghz,
            idle_time=control.idle_us,
            adc_start_time=control.adc_start_us,
            ramp_end_time=control.ramp_end_us,
            tx_start_time=control.tx_start_us,
            freq_slope=board.slope_mhz_per_us,
            adc_samples=board.samples,
            sample_rate=round(board.sample_rate_ksps),
            frame_length=board.loops,
            frame_period=board.period_ms,
            port=control.port,
        ),
        capture=xwr.DCAConfig(
            sys_ip=listen[0], data_port=listen[1], fpga_ip=card[0], config_port=card[1]
        ),
    )


def _stop(system: Any) -> None:
    """Each step by itself: a board that is left running may need its power cut."""
    for step in (
        system.dca.stop,
        system.dca.reset_ar_device,
        system.dca.config_socket.close,
        system.dca.data_socket.close,
        system.xwr.port.close,
    ):
        try:
            step()
        except Exception as error:
            # Whatever it is: said, not raised. The rest is still to be stopped, and why it came to
            # this matters more.
            print(f"rvsense device radar: stopping the board: {error}", file=sys.stderr)


def _device(control: Control) -> Any:
    try:
        from xwr import radar
    except ImportError as error:
        raise ConfigError(
            f"setting up a board needs xwr ({error}); install it: pip install 'rvsense[radar]', or "
            "leave [control] out and start the radar by TI's own programs"
        ) from None
    device = getattr(radar, control.device, None)
    sample_bytes = getattr(device, "BYTES_PER_SAMPLE", 0)
    if sample_bytes != BYTES_PER_SAMPLE:
        raise ConfigError(
            f"[control] device {control.device!r} is no board of xwr's with complex samples; "
            "AWR1843, AWR1843L and AWR1642 are"
        )
    return device


def _xwr_errors() -> tuple[type[Exception], ...]:
    from xwr.capture import DCAError
    from xwr.radar import XWRError

    return (DCAError, XWRError)
