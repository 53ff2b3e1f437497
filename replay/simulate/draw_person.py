"""Pedestrians and cyclists in the picture: clothes over the joints of `bodies`."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate import bodies
from rvsense.replay.simulate.actors import Actor
from rvsense.replay.simulate.draw import Limb, View, draw_limb_shadows, draw_limbs
from rvsense.replay.simulate.tracks import Pose

Array = npt.NDArray[np.float64]

_SKIN = ((236, 196, 170), (212, 164, 130), (160, 112, 82), (104, 72, 54))
_HAIR = ((36, 28, 24), (84, 58, 38), (150, 116, 72), (170, 168, 164))
_TOPS = (
    (34, 38, 46), (190, 44, 40), (40, 74, 150), (228, 226, 220), (72, 108, 66),
    (214, 170, 60), (120, 60, 110), (120, 124, 130), (60, 130, 140), (90, 62, 44),
)  # fmt: skip
_TROUSERS = ((42, 52, 80), (34, 34, 36), (150, 128, 98), (96, 98, 102), (64, 60, 48))
_SHOES = ((30, 28, 28), (220, 220, 220), (110, 70, 44))
_BIKES = (
    (180, 30, 30),
    (30, 30, 34),
    (40, 90, 170),
    (220, 220, 224),
    (50, 130, 70),
    (230, 120, 30),
)
_TYRE = np.array([28.0, 28.0, 30.0])
_STEEL = np.array([150.0, 150.0, 154.0])


@dataclass(frozen=True)
class Clothes:
    """Colours (3,) of one person, and what they carry."""

    skin: Array
    hair: Array
    top: Array
    trousers: Array
    shoes: Array
    short_sleeves: bool
    coat: bool
    backpack: bool
    helmet: bool


def _pick(rng: np.random.Generator, palette: tuple[tuple[int, int, int], ...]) -> Array:
    colour = np.array(palette[rng.integers(len(palette))], dtype=np.float64)
    return np.clip(colour + rng.normal(0.0, 9.0, 3), 8.0, 245.0)


def draw_clothes(rng: np.random.Generator) -> Clothes:
    """One person's appearance."""
    return Clothes(
        skin=_pick(rng, _SKIN),
        hair=_pick(rng, _HAIR),
        top=_pick(rng, _TOPS),
        trousers=_pick(rng, _TROUSERS),
        shoes=_pick(rng, _SHOES),
        short_sleeves=bool(rng.random() < 0.35),
        coat=bool(rng.random() < 0.25),
        backpack=bool(rng.random() < 0.3),
        helmet=bool(rng.random() < 0.65),
    )


def draw_pedestrian(frame: npt.NDArray[np.uint8], view: View, actor: Actor, pose: Pose) -> None:
    """Draw a walking or standing person at a pose of one time."""
    clothes = draw_clothes(np.random.default_rng(actor.look_seed))
    joints = pose.place(actor.joints(pose))[0]
    _draw(frame, view, _person_limbs(joints, clothes, pose.heading_rad[0], helmet=False))


def draw_cyclist(frame: npt.NDArray[np.uint8], view: View, actor: Actor, pose: Pose) -> None:
    """Draw a rider on a bicycle at a pose of one time."""
    rng = np.random.default_rng(actor.look_seed)
    clothes = draw_clothes(rng)
    paint = _pick(rng, _BIKES)
    joints = pose.place(actor.joints(pose))[0]
    limbs = _person_limbs(joints, clothes, pose.heading_rad[0], helmet=clothes.helmet)
    _draw(frame, view, limbs + _bicycle_limbs(pose, actor, paint))


def _draw(frame: npt.NDArray[np.uint8], view: View, limbs: list[Limb]) -> None:
    points = np.concatenate([[limb.start_m, limb.end_m] for limb in limbs])
    canvas = view.canvas(frame, points, margin_m=0.2)
    if canvas.empty:
        return
    draw_limb_shadows(canvas, view, limbs)
    draw_limbs(canvas, view, limbs)
    canvas.commit()


def _person_limbs(joints: Array, clothes: Clothes, heading_rad: float, helmet: bool) -> list[Limb]:
    def at(name: str) -> Array:
        place: Array = joints[bodies.INDEX[name]]
        return place

    forward = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    limbs = []
    for side in ("l", "r"):
        sleeve = clothes.skin if clothes.short_sleeves else clothes.top
        hip, knee, ankle = at(f"hip_{side}"), at(f"knee_{side}"), at(f"ankle_{side}")
        elbow, hand = at(f"elbow_{side}"), at(f"hand_{side}")
        limbs += [
            Limb(hip, knee, 0.088, 0.062, clothes.trousers),
            Limb(knee, ankle, 0.062, 0.048, clothes.trousers),
            Limb(ankle - 0.03 * up, at(f"toe_{side}"), 0.048, 0.035, clothes.shoes),
            Limb(at(f"shoulder_{side}"), elbow, 0.058, 0.048, clothes.top),
            Limb(elbow, hand, 0.045, 0.034, sleeve),
            Limb(hand, hand - 0.05 * up, 0.036, 0.03, clothes.skin, shadow=False),
        ]
        if clothes.coat:
            limbs.append(Limb(hip, hip + 0.85 * (knee - hip), 0.11, 0.12, clothes.top))
    pelvis, neck, head = at("pelvis"), at("neck"), at("head")
    chest = pelvis + 0.72 * (neck - pelvis)
    limbs += [
        Limb(pelvis, pelvis + 0.4 * (neck - pelvis), 0.125, 0.125, clothes.top),
        Limb(pelvis + 0.3 * (neck - pelvis), chest, 0.13, 0.145, clothes.top),
        Limb(at("shoulder_l"), at("shoulder_r"), 0.07, 0.07, clothes.top),
        Limb(chest, neck, 0.14, 0.06, clothes.top),
        Limb(neck - 0.02 * up, head, 0.052, 0.052, clothes.skin),
        Limb(head - 0.03 * up, head + 0.02 * up, 0.085, 0.095, clothes.skin),
    ]
    cap = clothes.hair if not helmet else np.array([225.0, 225.0, 228.0])
    crown = head - 0.025 * forward + 0.045 * up
    limbs.append(Limb(crown, crown + 0.015 * up, 0.1, 0.095, cap))
    if clothes.backpack:
        back = pelvis - 0.16 * forward
        limbs.append(
            Limb(back + 0.12 * up, back + 0.4 * up, 0.13, 0.12, 0.6 * clothes.trousers + 20)
        )
    return limbs


def _bicycle_limbs(pose: Pose, actor: Actor, paint: Array) -> list[Limb]:
    hubs = (bodies.REAR_HUB_M, bodies.FRONT_HUB_M)
    turn = np.linspace(0.0, 2.0 * np.pi, 25)
    limbs = []
    for hub in hubs:
        ring = np.stack(
            [
                hub[0] + bodies.WHEEL_RADIUS_M * np.sin(turn),
                np.zeros_like(turn),
                hub[2] + bodies.WHEEL_RADIUS_M * np.cos(turn),
            ],
            axis=-1,
        )
        rim = pose.place(ring[None])[0]
        limbs += [Limb(a, b, 0.022, 0.022, _TYRE) for a, b in pairwise(rim)]
        spoke = pose.travel_m[0] / bodies.WHEEL_RADIUS_M + np.arange(7) * 2.0 * np.pi / 7
        tips = np.stack(
            [hub[0] + 0.32 * np.sin(spoke), np.zeros(7), hub[2] + 0.32 * np.cos(spoke)], axis=-1
        )
        centre = pose.place(np.array([[hub]]))[0, 0]
        limbs += [
            Limb(centre, tip, 0.005, 0.005, _STEEL, shadow=False)
            for tip in pose.place(tips[None])[0]
        ]
    crank = float(actor.crank_rad(pose)[0])
    swing = np.array([np.sin(crank), 0.0, np.cos(crank)]) * bodies.CRANK_M
    bracket = np.array(bodies.BOTTOM_BRACKET_M)
    side, along = np.array([0.0, 0.1, 0.0]), np.array([0.14, 0.0, 0.0])
    bar = np.array([0.0, bodies.BAR_HALF_M, 0.0])
    stem, saddle = np.array(bodies.STEM_M), np.array(bodies.SADDLE_M)
    top = np.array([-0.2, 0.0, 0.74])
    tubes = [
        (bracket, top, 0.019, paint), (top, bodies.HEAD_TUBE_M, 0.018, paint),
        (bracket, (0.45, 0.0, 0.62), 0.021, paint), (bracket, bodies.REAR_HUB_M, 0.013, paint),
        (top, bodies.REAR_HUB_M, 0.012, paint),
        (bodies.FRONT_HUB_M, bodies.HEAD_TUBE_M, 0.016, paint),
        (bodies.HEAD_TUBE_M, stem, 0.016, _STEEL), (top, saddle, 0.014, _STEEL),
        (saddle - along, saddle + 0.7 * along, 0.045, _TYRE),
        (stem - bar, stem + bar, 0.016, _TYRE),
        (bracket + side, bracket + side + swing, 0.013, _STEEL),
        (bracket - side, bracket - side - swing, 0.013, _STEEL),
    ]  # fmt: skip
    ends = pose.place(np.array([[start, end] for start, end, _, _ in tubes]).reshape(1, -1, 3))[0]
    for place, (_, _, radius, colour) in enumerate(tubes):
        limbs.append(Limb(ends[2 * place], ends[2 * place + 1], radius, radius, colour))
    return limbs
