"""`rvsense device`: live devices that send frames to a daemon."""

import argparse
import json
import os
import re
import socket
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from rvsense.commands.options import keys_option


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="DEVICE")
    _radar(kinds.add_parser("radar", help="a TI radar behind a DCA1000, from raw samples"))
    _camera(kinds.add_parser("camera", help="a V4L2 device, an RTSP or network stream, or a file"))
    _laptop(kinds.add_parser("laptop", help="a webcam, and a radar simulated from what it sees"))
    _played(kinds.add_parser("dca1000", help="play a simulated radar over UDP, as a DCA1000 sends"))


def run(options: argparse.Namespace) -> int:
    # Two threads of BLAS for 128 x 128 numbers only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return int(options.act(options))


def _common(parser: argparse.ArgumentParser) -> None:
    from rvsense.config import Endpoints

    parser.add_argument(
        "--site", default="live", metavar="NAME", help="its radar-camera pair (%(default)s)"
    )
    parser.add_argument(
        "--to",
        default=Endpoints().intake,
        metavar="ENDPOINT",
        help="the daemon's intake (%(default)s)",
    )
    parser.add_argument(
        "--epoch",
        type=_whole,
        default=0,
        metavar="N",
        help="raise it, for radar and camera alike, when the clock of the stamps starts again",
    )
    parser.add_argument("--seconds", type=_positive, default=0.0, metavar="S", help="stop after S")
    keys_option(parser)


def _radar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        default="192.168.33.30:4098",
        metavar="HOST:PORT",
        help="where the DCA1000 sends to (%(default)s)",
    )
    parser.add_argument(
        "--from", dest="sender", default="", metavar="HOST", help="only its packets"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="TOML", help="the board; CRUW's if left out"
    )
    parser.add_argument(
        "--card",
        default="",
        metavar="HOST:PORT",
        help="where a profile with [control] finds the DCA1000 (192.168.33.180:4096)",
    )
    parser.add_argument(
        "--announce", action="store_true", help="say the address on stdout, as JSON"
    )
    parser.set_defaults(act=_run_radar)
    _common(parser)


def _run_radar(options: argparse.Namespace) -> int:
    from rvsense.errors import UsageError
    from rvsense.replay.devices.board import CRUW
    from rvsense.replay.devices.packets import Port, open_port
    from rvsense.replay.devices.profile import read_board
    from rvsense.replay.devices.radar import Radar
    from rvsense.replay.devices.running import check_site, main

    site = check_site(options.site)
    board = read_board(options.profile) if options.profile else CRUW
    host, number = _address(options, "listen")
    opened: AbstractContextManager[Port]
    if board.control is not None:
        from rvsense.replay.devices.ti import CARD, check_control, running_board

        if options.sender or options.announce:
            raise UsageError("--from and --announce are for a radar that TI's programs set up")
        check_control(board)
        card = _address(options, "card") if options.card else CARD
        opened = running_board(board, (host, number), card)
    else:
        if options.card:
            raise UsageError("--card is for a profile with [control], which sets up the board")
        sock = open_port(host, number)
        _announce("{}:{}".format(*sock.getsockname()), as_json=options.announce)
        opened = Port(sock, board.frame_bytes, _found("from", options.sender))
    radar = Radar(board, opened, site, options.epoch)
    return main(radar, site, options.to, keys=options.keys, seconds=options.seconds)


def _address(options: argparse.Namespace, name: str) -> tuple[str, int]:
    from rvsense.addresses import split_host_port
    from rvsense.errors import UsageError

    try:
        host, port = split_host_port(getattr(options, name))
    except ValueError as error:
        raise UsageError(f"--{name}: {error}") from None
    return _found(name, host), port


def _found(name: str, host: str) -> str:
    """The IPv4 address of a host: packets are told apart by it."""
    from rvsense.errors import UsageError

    try:
        return host and socket.gethostbyname(host)
    except OSError as error:
        raise UsageError(f"--{name}: {host} has no IPv4 address ({error.strerror})") from None


def _announce(address: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"listening": address}), flush=True)
    else:
        print(f"rvsense device radar: listening on {address}", file=sys.stderr, flush=True)


def _camera(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="/dev/video0, rtsp://HOST/PATH, a file")
    _source_options(parser)
    parser.add_argument(
        "--stamp-source",
        choices=("arrival", "device"),
        default="arrival",
        help="device: V4L2's own stamps, or an RTSP camera's clock",
    )
    parser.set_defaults(act=_run_camera)
    _common(parser)


def _source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fps", type=_positive, default=0.0, metavar="N", help="at most N a second"
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="such as 1280x720")
    parser.add_argument("--once", action="store_true", help="play a file once, not over and over")
    parser.add_argument(
        "--option", type=_assignment, action="append", default=[], metavar="K=V", help="FFmpeg's"
    )


def _run_camera(options: argparse.Namespace) -> int:
    from rvsense.replay.devices.camera import Camera
    from rvsense.replay.devices.running import check_site, main
    from rvsense.replay.devices.video import Source

    site = check_site(options.site)
    source = Source(
        options.source,
        stamping=options.stamp_source,
        size=options.size,
        fps=options.fps,
        once=options.once,
        options=dict(options.option),
    )
    return main(
        Camera(source, site, options.epoch),
        site,
        options.to,
        keys=options.keys,
        seconds=options.seconds,
    )


def _laptop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        default="/dev/video0",
        metavar="SOURCE",
        help="the webcam, or a film (%(default)s)",
    )
    _source_options(parser)
    parser.add_argument(
        "--fov",
        type=_angle,
        default=60.0,
        metavar="DEGREES",
        help="the camera's view, left to right (%(default)g)",
    )
    parser.add_argument(
        "--seed", type=_whole, default=0, metavar="N", help="of the simulated site (%(default)s)"
    )
    parser.set_defaults(act=_run_laptop, fps=10.0)
    _common(parser)


def _run_laptop(options: argparse.Namespace) -> int:
    from rvsense.replay.devices.laptop import Laptop
    from rvsense.replay.devices.running import check_site, main
    from rvsense.replay.devices.video import Source

    site = check_site(options.site)
    source = Source(
        options.source,
        size=options.size,
        fps=options.fps,
        once=options.once,
        decode=True,
        options=dict(options.option),
    )
    device = Laptop(source, site, options.epoch, options.fov, options.seed)
    return main(device, site, options.to, keys=options.keys, seconds=options.seconds)


def _angle(text: str) -> float:
    try:
        degrees = float(text)
    except ValueError:
        degrees = -1.0
    if not 10 <= degrees <= 150:
        raise argparse.ArgumentTypeError(f"{text!r} is not an angle of 10 to 150 degrees")
    return degrees


def _positive(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return rate


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1280x720")
    return int(match[1]), int(match[2])


def _assignment(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not name or not given:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as input_format=mjpeg")
    return name, value


def _played(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        default="127.0.0.1:4098",
        metavar="HOST:PORT",
        help="where `rvsense device radar` listens (%(default)s)",
    )
    parser.add_argument(
        "--frames", type=_whole, default=0, metavar="N", help="stop after N; 0 = never"
    )
    parser.add_argument(
        "--rate", type=_positive, default=30.0, metavar="HZ", help="frames a second (%(default)g)"
    )
    parser.add_argument(
        "--seed", type=_whole, default=0, metavar="N", help="of the simulated site (%(default)s)"
    )
    parser.set_defaults(act=_run_played)


def _run_played(options: argparse.Namespace) -> int:
    from rvsense.replay.devices.played import main

    return main(_address(options, "to"), options.rate, options.frames, options.seed)
