"""Bones of the chest phantom: ribs, spine, clavicles, shoulder blades and upper arms, as lengths along the rays.

Coordinates as in `chest_anatomy`. Long bones are tubes around a curve, denser at their rim than in their marrow.
"""

import numpy as np
from scipy import ndimage
from scipy.special import expit

from stages.phantoms.chest_shape import Chest

RIBS = 11


def bones(chest: Chest, x: np.ndarray, y: np.ndarray, random: np.random.Generator, variation: float) -> np.ndarray:
    """Length of each ray in bone (mm), weighted by density; x, y (H, W) in mm."""
    first, second = chest.scoliosis
    spine_x = x - first * np.sin(y / 70) - second * np.cos(y / 90)
    result = _spine(chest, spine_x, y)
    result += _ribs(chest, x, y, random, variation)
    result += _shoulders(chest, x, y)
    return result


def _tube(distance: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Profile of a long bone across: 1 at most; the marrow is lighter than the rim."""
    square = (distance / radius) ** 2
    return np.sqrt(np.clip(1 - square, 0, None)) - 0.55 * np.sqrt(np.clip(0.6 - square, 0, None))


def _ribs(chest: Chest, x: np.ndarray, y: np.ndarray, random: np.random.Generator, variation: float) -> np.ndarray:
    """Ribs 1 to 11: from the spine along the back, round the side, and down along the front to the cartilage."""
    result = np.zeros_like(x)
    jitter = variation * random.standard_normal((RIBS, 2, 3))
    spacing = chest.length / 11.0
    lowest, highest = y.min(axis=1), y.max(axis=1)
    across = np.linspace(-1, 1, 801)  # a table of each rib's course, in half widths; the image is tilted against it
    for index in range(RIBS):
        height = chest.apex - 2 - spacing * index
        for part in ("back", "front"):
            course, rise, strength = (np.empty_like(across) for _ in range(3))
            width = 0.0
            for side in (0, 1):
                here = across < 0 if side == 0 else across >= 0
                u = np.clip(np.abs(across[here]), 0, 0.9995)
                angle = np.arcsin(u) if part == "back" else np.pi - np.arcsin(u)
                drop = (40 if index == 0 else 74 + 2.2 * index) + 4 * jitter[index, side, 0]
                lift = 8 + 1.5 * jitter[index, side, 1]
                course[here] = (
                    height
                    + 1.5 * jitter[index, side, 2]
                    + lift * np.sin(2 * np.minimum(angle, np.pi / 2))
                    - drop * (0.5 * (1 - np.cos(angle)) + 0.28 * np.sin(angle) ** 2)
                )
                cartilage = 0.30 + 0.06 * max(index - 5, 0)
                fade = np.clip((u - (0.13 if part == "back" else cartilage)) / 0.05, 0, 1)
                # A plate of 6 mm, which the ray crosses the longer the more it lies along it.
                strength[here] = fade / np.maximum(np.sqrt(1 - u**2), 0.45)
            middle = height - 0.35 * 74
            share = np.clip((chest.apex + 6 - middle) / chest.length, 0.05, 1)
            width = (chest.half_width + 3) * np.sqrt(1 - (1 - share) ** 2.5)
            rise = np.gradient(course, across * width)
            shift = chest.yaw * chest.half_depth * (-0.5 if part == "back" else 0.5)
            low, high = course.min() - 12, course.max() + 12
            rows = np.flatnonzero((highest > low) & (lowest < high))
            if not len(rows) or (part == "front" and index > 9):
                continue
            window = slice(rows[0], rows[-1] + 1)
            at = ((x[window] - shift) / width + 1) * 400
            sampled = [np.interp(at, np.arange(801), values).astype(np.float32) for values in (course, rise, strength)]
            distance = (y[window] - sampled[0]) / np.sqrt(1 + np.minimum(np.abs(sampled[1]), 4) ** 2)
            inside = (at > 0) & (at < 800)
            radius = 5.2 if part == "back" else 6.2
            density = 7.5 if part == "back" else 6.0
            result[window] += density * sampled[2] * _tube(distance, radius) * inside
    return result


def _spine(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Vertebral bodies, discs between them, and the row of spinous processes."""
    spacing = 23.0
    phase = (y - chest.apex) / spacing
    edge = np.abs(phase - np.round(phase)) * spacing  # mm from the middle of a body
    body = expit((8.6 - edge) / 0.8)
    across = np.clip(1 - (x / 17.5) ** 4, 0, None)
    column = np.sqrt(across) * (0.62 + 0.38 * body)
    process = np.exp(-((x / 3.2) ** 2) - ((edge - 3) / 4.5) ** 2)
    pedicles = np.exp(-(((np.abs(x) - 10) / 2.6) ** 2) - ((edge - 2) / 3.5) ** 2)
    return 9 * column + 5 * process + 4 * pedicles


def _shoulders(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Clavicles, shoulder blades, heads and shafts of the upper arms."""
    u = np.abs(x * (132 / chest.half_width) - 14 * chest.yaw)
    along = np.clip((u - 12) / 128, 0, 1)
    course = chest.apex - 26 + 30 * along + 7 * np.sin(2 * np.pi * along)
    slope = np.hypot(1, (30 + 44 * np.cos(2 * np.pi * along)) / 128)
    inside = np.clip((u - 12) / 3, 0, 1) * np.clip((142 - u) / 3, 0, 1)
    clavicle = 13 * inside * _tube((y - course) / slope, 6.0)
    # The shoulder blade is a thin plate with a denser border to the side.
    height = (y - (chest.apex - 62)) / 62
    inner = 98 - 6 * height + 22 * np.clip(height, 0, 1) ** 2
    outer = 122 + 26 * height
    blade = 2.0 * expit((u - inner) / 1.5) * expit((outer - u) / 1.5) + 3.5 * np.exp(-(((u - outer) / 3.0) ** 2))
    head = np.clip(1 - ((u - 160) ** 2 + (y - chest.apex + 18) ** 2) / 23**2, 0, None)
    shaft = expit((chest.apex - 30 - y) / 3) * _tube(u - 170 - 0.12 * (chest.apex - 30 - y), 11.0)
    result = clavicle + blade * (np.abs(height) < 1) + 15 * np.sqrt(head) + 12 * shaft
    return ndimage.gaussian_filter(result, 0.6)
