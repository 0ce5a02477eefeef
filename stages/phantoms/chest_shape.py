"""What differs from patient to patient in the chest phantom: the shape of the chest, and how much fluid is in it."""

from dataclasses import dataclass

import numpy as np

RIGHT, LEFT = -1, 1
"""The patient's sides, as signs of x."""


@dataclass(frozen=True)
class Effusion:
    """Fluid in one pleural cavity of an upright patient.

    Attributes:
        level: height over the lowest point of the cavity where `shell` is measured, as a share of the cavity's length.
        top: height to which the fluid climbs the chest wall, likewise.
        shell: thickness of the fluid between wall and lung at the level, in mm; it grows below and shrinks above.
    """

    level: float
    top: float
    shell: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> "Effusion":
        """Small ones, which blunt the costophrenic angle, are more frequent than large ones."""
        amount = random.beta(1.1, 1.9)
        level = 0.07 + 0.42 * amount + random.normal(0, 0.01)
        return cls(level, level + random.uniform(0.13, 0.24) + 0.1 * amount, random.uniform(22, 34) + 16 * amount)


@dataclass(frozen=True)
class Chest:
    """One patient's shape; lengths in mm, angles in radians."""

    shift: tuple[float, float]
    tilt: float
    yaw: float
    scale: float
    half_width: float
    half_depth: float
    apex: float
    length: float
    fat: float
    domes: tuple[float, float]
    heart: tuple[float, float, float]
    heart_tilt: float
    aorta: float
    mediastinum: float
    breasts: float
    breast_height: float
    bubble: float
    bones: float
    scoliosis: tuple[float, float]

    @classmethod
    def draw(cls, random: np.random.Generator, variation: float) -> "Chest":
        """A random patient; `variation` scales how far he is from the average one (1: as patients are)."""

        def about(mean: float, deviation: float) -> float:
            return mean + variation * deviation * float(np.clip(random.standard_normal(), -2.5, 2.5))

        inspiration = about(0, 9)
        heart = about(1.0, 0.1)
        woman = random.random() < 0.5
        right = -57 - inspiration
        return cls(
            shift=(about(0, 9), about(-4, 9)),
            tilt=about(0, 0.035),
            yaw=about(0, 0.06),
            scale=about(1, 0.06),
            half_width=about(132, 6),
            half_depth=about(90, 6),
            apex=about(124, 4),
            length=about(232, 6) + inspiration,
            fat=float(np.exp(about(np.log(16), 0.45))),
            domes=(right, right - about(13, 5)),
            heart=(about(47, 3) * heart, about(68, 4) * heart, about(60, 3) * heart),
            heart_tilt=about(0.88, 0.1),
            aorta=about(15, 2.5),
            mediastinum=about(25, 2.5),
            breasts=max(about(18, 8), 0) if woman else 0.0,
            breast_height=about(-52, 9),
            bubble=min(max(about(6, 7), 0), 16),
            bones=about(1, 0.12),
            scoliosis=(about(0, 3), about(0, 2)),
        )
