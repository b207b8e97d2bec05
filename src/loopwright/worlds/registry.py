"""Worlds by name, with the model they are meant for: what a claim or a trial can be run on by one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loopwright.core.errors import UnknownName
from loopwright.core.world import Stream, World
from loopwright.worlds.arms import Arms
from loopwright.worlds.bandit import LinearBandit
from loopwright.worlds.baskets import Baskets
from loopwright.worlds.city_archive import city_archive
from loopwright.worlds.clicks import Clicks
from loopwright.worlds.coding.world import coding, nobody
from loopwright.worlds.crafting import Crafting
from loopwright.worlds.deployed import Deployed
from loopwright.worlds.diagnosis import diagnosis
from loopwright.worlds.digits import digits, encoded_digits
from loopwright.worlds.duels import Duels
from loopwright.worlds.functions import functions
from loopwright.worlds.generators.digits import digits_diffusion
from loopwright.worlds.generators.drawing import drawn_digits, drawn_points, points_diffusion
from loopwright.worlds.generators.pictures import autoencoder, digit_pictures
from loopwright.worlds.generators.regression import least_squares, regression
from loopwright.worlds.gym import Gym
from loopwright.worlds.incremental import blobs
from loopwright.worlds.lab.circuits import calculus, lab_circuit
from loopwright.worlds.lab.game_world import lab_game
from loopwright.worlds.lab.language import lab_language, speaker
from loopwright.worlds.lab.manuals import lab_manuals
from loopwright.worlds.lab.modeller import modeller
from loopwright.worlds.lab.notes import clerk, lab_notes
from loopwright.worlds.lab.opinions import lab_people
from loopwright.worlds.lab.panellist import panellist
from loopwright.worlds.lab.player import player
from loopwright.worlds.lab.reader import reader
from loopwright.worlds.lab.repairer import repairer
from loopwright.worlds.lab.world import LAB
from loopwright.worlds.landscapes import planar_arm, rotated, sphere
from loopwright.worlds.modelling import modelling
from loopwright.worlds.number_programs import number_programs
from loopwright.worlds.portfolio import Portfolio
from loopwright.worlds.recommend import Recommend
from loopwright.worlds.relaxation import Relaxation
from loopwright.worlds.repair.world import repair
from loopwright.worlds.rules import rules
from loopwright.worlds.small import SMALL
from loopwright.worlds.spatial import spatial
from loopwright.worlds.switching import Switching
from loopwright.worlds.trainer import trained_grid, trained_gym
from loopwright.worlds.workers import Workers


@dataclass(frozen=True, slots=True)
class Known:
    """``make(**options)`` gives the World or the Stream.

    model: a word for ``loopwright.models.load``, or a function of the blobs; "" where none answers.
    """

    make: Callable[..., World | Stream]
    model: Any = ""


LAB_MODEL = {"backend": "embedded", "path": "lab", "dtype": "float32"}

WORLDS: dict[str, Known] = {
    "bandit": Known(LinearBandit),
    "arms": Known(Arms),
    "switching": Known(Switching),
    "relaxation": Known(Relaxation),
    "duels": Known(Duels),
    "sat": Known(Portfolio),
    "workers": Known(Workers),
    "digits": Known(digits),
    "encoded-digits": Known(encoded_digits),
    "blobs": Known(blobs),
    "baskets": Known(Baskets),
    "recommend": Known(Recommend),
    "clicks": Known(Clicks),
    "deployed": Known(Deployed),
    "gym": Known(Gym),
    "trained-grid": Known(trained_grid),
    "trained-gym": Known(trained_gym),
    "planar-arm": Known(planar_arm),
    "crafting": Known(Crafting),
    "sphere": Known(sphere),
    "rotated": Known(rotated),
    **{name: Known(make, "embedded") for name, make in SMALL.items()},
    **{name: Known(make, LAB_MODEL) for name, make in LAB.items()},
    "diagnosis": Known(diagnosis),
    "repair": Known(repair),
    "coding": Known(coding, nobody),
    "rules": Known(rules),
    "functions": Known(functions, "embedded"),
    "number-programs": Known(number_programs, "embedded"),
    "spatial": Known(spatial, "embedded"),
    "city-archive": Known(city_archive, "embedded"),
    "modelling": Known(modelling),
    "drawn-digits": Known(drawn_digits, digits_diffusion),
    "drawn-points": Known(drawn_points, points_diffusion),
    "digit-pictures": Known(digit_pictures, autoencoder),
    "regression": Known(regression, least_squares),
    "lab-game": Known(lab_game, player),
    "lab-language": Known(lab_language, speaker),
    "lab-people": Known(lab_people, LAB_MODEL),
    "lab-manuals": Known(lab_manuals, reader),
    "lab-circuit": Known(lab_circuit, calculus),
    "lab-notes": Known(lab_notes, clerk),
    # Worlds of above, played by a program.
    "lab-diagnosis": Known(diagnosis, panellist),
    "lab-repair": Known(repair, repairer),
    "lab-modelling": Known(modelling, modeller),
}


def known_world(name: str) -> Known:
    """By name. Raises UnknownName with the near ones."""
    if name not in WORLDS:
        raise UnknownName("world", name, WORLDS)
    return WORLDS[name]
