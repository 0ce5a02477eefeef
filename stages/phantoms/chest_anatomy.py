"""Anatomy of the chest phantom: a body made of simple solids, and the lengths of the rays that cross each tissue.

Millimetres in the patient: x to the patient's left (right in the image, as radiographs are shown), y up, z to the
front. Rays are parallel to z. Every solid meets a ray in one interval of z, or none, so that what a ray crosses of the
lung (the pleural cavity without heart, mediastinum and abdomen) follows exactly from the ends of intervals; nothing is
voxelised.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import expit

from stages.phantoms.chest_bones import bones
from stages.phantoms.chest_shape import LEFT, RIGHT, Chest, Effusion

FIELD_OF_VIEW = 340.0
"""Side of the radiograph in the patient, in mm."""

Interval = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Rays:
    """Lengths (mm) that each ray crosses, (H, W) each.

    Attributes:
        soft: soft tissue and fluid.
        lung: lung.
        bone: bone, weighted by its density.
        fluid: pleural fluid alone, part of `soft`.
        cavity: depth of the thoracic cavity from front to back, whatever fills it.
        vessels: vessels in the lung, part of neither.
    """

    soft: np.ndarray
    lung: np.ndarray
    bone: np.ndarray
    fluid: np.ndarray
    cavity: np.ndarray
    vessels: np.ndarray


def project(
    chest: Chest, effusions: dict[int, Effusion], size: int, random: np.random.Generator, variation: float
) -> Rays:
    """Trace size x size parallel rays through a chest.

    Args:
        chest: the patient.
        effusions: the fluid of each affected side (RIGHT, LEFT).
        size: pixels of a side.
        random: draws the lung's vessels and the bones' irregularities.
        variation: scales those irregularities.
    """
    x, y = _positions(chest, size)
    body = _body(chest, x, y)
    fluid, cavity_length, lung = np.zeros((3, *x.shape), np.float32)
    width, depth = _cavity_profile(chest, y)
    heart, column = _heart(chest, x, y), _mediastinum(chest, x, y)
    for side, dome_top in zip((RIGHT, LEFT), chest.domes, strict=True):
        dome = _dome(chest, side, dome_top, x, y)
        here = side * x > 0
        cavity = _ellipse(x, width, depth, 0.0)
        cavity_length += np.where(here, _length(cavity), 0)
        pleural = np.where(here, _free(cavity, heart, column, dome), 0)
        if side in effusions:
            inner, lung_width = _collapsed(chest, effusions[side], x, y, width, depth)
            aerated = np.where(here & (lung_width > 0), _free(inner, heart, column, dome), 0)
        else:
            aerated = pleural
        fluid += pleural - aerated
        lung += aerated
    air = _airways(chest, x, y)
    bubble = _bubble(chest, x, y)
    vessels = _vessels(x, y, lung, random)
    soft = np.clip(body - lung - np.minimum(air + bubble, 0.8 * body), 0, None)
    soft += _breasts(chest, x, y, body)
    bone = chest.bones * bones(chest, x, y, random, variation) * (body > 0)
    return Rays(soft, lung, bone, fluid, cavity_length, vessels)


def _positions(chest: Chest, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (x, y) of the rays in the patient, (size, size) each, float32."""
    across = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * FIELD_OF_VIEW
    x, y = np.meshgrid(across - chest.shift[0], -across - chest.shift[1])
    cos, sin = np.cos(chest.tilt), np.sin(chest.tilt)
    x, y = ((cos * x + sin * y) / chest.scale, (cos * y - sin * x) / chest.scale)
    return x.astype(np.float32), y.astype(np.float32)


# --- intervals of z --------------------------------------------------------------------------------------------------


def _length(*intervals: Interval) -> np.ndarray:
    """Length of what intervals have in common."""
    low, high = intervals[0]
    for other_low, other_high in intervals[1:]:
        low, high = np.maximum(low, other_low), np.minimum(high, other_high)
    return np.maximum(high - low, 0)


def _free(whole: Interval, a: Interval, b: Interval, c: Interval) -> np.ndarray:
    """Length of `whole` outside a, b and c: inclusion and exclusion."""
    single = _length(whole, a) + _length(whole, b) + _length(whole, c)
    double = _length(whole, a, b) + _length(whole, a, c) + _length(whole, b, c)
    return np.maximum(_length(whole) - single + double - _length(whole, a, b, c), 0)


def _around(centre: float | np.ndarray, half: np.ndarray) -> Interval:
    return centre - half, centre + half


def _ellipse(x: np.ndarray, width: np.ndarray, depth: np.ndarray, centre: float | np.ndarray) -> Interval:
    """Where a ray at x crosses a horizontal ellipse of these half axes."""
    return _around(centre, depth * np.sqrt(np.clip(1 - (x / np.maximum(width, 1e-3)) ** 2, 0, None)))


# --- solids ----------------------------------------------------------------------------------------------------------


def _body(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Length of the rays in torso, shoulders, neck and upper arms."""
    at = np.array([-260, -120, 0, 60, 92, 112, 126, 140, 156, 175, 230])
    width = np.array([158, 158, 158, 166, 182, 188, 166, 108, 68, 56, 56]) + chest.half_width - 132
    depth = np.array([116, 112, 106, 100, 84, 74, 66, 60, 56, 54, 54.0])
    height = np.linspace(-300, 300, 301)
    profile = [ndimage.gaussian_filter1d(np.interp(height, at, values), 4.0) for values in (width, depth)]
    half_width, half_depth = (np.interp(y, height, values).astype(np.float32) for values in profile)
    half_width = half_width + 0.6 * chest.fat
    inside = np.clip(1 - np.abs(x / half_width) ** 2.6, 0, None)
    return 2 * (half_depth + 0.8 * chest.fat - 16) * np.sqrt(inside)


def _cavity_profile(chest: Chest, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half width and half depth of the thoracic cavity at height y: a bell."""
    share = np.clip((chest.apex - y) / chest.length, 0, 1.1)
    profile = np.sqrt(np.clip(1 - np.clip(1 - share, 0, 1) ** 2.5, 0, 1))
    return chest.half_width * profile, chest.half_depth * profile**0.85


def _dome(chest: Chest, side: int, top: float, x: np.ndarray, y: np.ndarray) -> Interval:
    """The abdomen below one half of the diaphragm: a paraboloid whose top lies to the front of the middle."""
    across = (side * x - 0.5 * chest.half_width) / (0.5 * chest.half_width)
    drop = np.where(across > 0, 46, 16) * across**2
    half = chest.half_depth * np.sqrt(np.clip((top - drop - y) / 58, 0, None))
    return _around(0.15 * chest.half_depth, half)


def _heart(chest: Chest, x: np.ndarray, y: np.ndarray) -> Interval:
    """The heart, an ellipsoid whose long axis points down and to the left, in the front half of the chest."""
    short, long, deep = chest.heart
    x, y = x - 23 - 20 * chest.yaw, y - (np.mean(chest.domes) + 26)
    cos, sin = np.cos(chest.heart_tilt), np.sin(chest.heart_tilt)
    inside = np.clip(1 - ((cos * x + sin * y) / short) ** 2 - ((cos * y - sin * x) / long) ** 2, 0, None)
    return _around(22.0, deep * np.sqrt(inside))


def _mediastinum(chest: Chest, x: np.ndarray, y: np.ndarray) -> Interval:
    """Vessels, oesophagus and spine: a column as deep as the chest, with the aortic arch as a knob on its left."""
    half_width = chest.mediastinum * (0.85 + 0.15 * np.tanh((95 - y) / 30))
    column = np.clip(1 - ((x - 30 * chest.yaw) / (1.1 * half_width)) ** 2, 0, None) ** 0.8
    half = 70 * column
    for centre, height, radius in ((0.6, 50, chest.aorta + 2), (0.75, 26, chest.aorta + 3)):  # arch, pulmonary trunk
        knob = np.clip(1 - ((x - centre * chest.mediastinum) ** 2 + (y - height) ** 2) / radius**2, 0, None)
        half = np.maximum(half, 38 * np.sqrt(knob))
    return _around(-8.0, half)


def _collapsed(
    chest: Chest, effusion: Effusion, x: np.ndarray, y: np.ndarray, width: np.ndarray, depth: np.ndarray
) -> tuple[Interval, np.ndarray]:
    """What is left to the lung where fluid lies around it, and its half width.

    The fluid's shell thins out towards its top, so that rays along the chest wall, which it meets edge on, cross fluid
    higher up than rays through the middle of the lung do: the meniscus.
    """
    height = (y - (chest.apex - chest.length)) / chest.length
    above = np.clip((effusion.top - height) / (effusion.top - effusion.level), 0, None)
    shell = effusion.shell * above**1.8
    inner_width, inner_depth = width - shell, np.maximum(depth - 1.2 * shell, 0)
    return _ellipse(x, np.maximum(inner_width, 0), inner_depth, 0.25 * chest.half_depth * (shell > 0)), inner_width


def _breasts(chest: Chest, x: np.ndarray, y: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Breast tissue in front of the chest wall: fuller below, with a sharp lower border."""
    if chest.breasts <= 0:
        return np.zeros_like(x)
    radius = 46 + 0.8 * chest.breasts
    across = (np.abs(x) - 78) / (radius * 1.1)
    below = chest.breast_height - y
    up = np.where(below > 0, below / (0.62 * radius), below / (1.25 * radius))
    return chest.breasts * 1.4 * np.sqrt(np.clip(1 - across**2 - up**2, 0, None)) ** 1.4 * (body > 0)


def _airways(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Air in trachea and main bronchi."""
    centre = 20 * chest.yaw
    trachea = np.sqrt(np.clip(1 - ((x - centre) / 9) ** 2, 0, None)) * expit((y - 44) / 2)
    slope = np.where(x < centre, 1.5, 0.85)
    bronchus = np.clip(1 - ((y - 43 + slope * np.abs(x - centre)) / 9) ** 2, 0, None) * (np.abs(x - centre) < 30)
    return 17 * trachea + 9 * np.sqrt(bronchus)


def _bubble(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gas in the stomach, below the left half of the diaphragm."""
    if chest.bubble < 4:
        return np.zeros_like(x)
    inside = 1 - ((x - 72) / (1.6 * chest.bubble)) ** 2 - ((y - chest.domes[1] + 12 + chest.bubble) / chest.bubble) ** 2
    return 3 * chest.bubble * np.sqrt(np.clip(inside, 0, None))


def _vessels(x: np.ndarray, y: np.ndarray, lung: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Vessels that spread from the hila and thin out: ridges of noise in polar coordinates around them."""
    across, up = np.abs(x) - 30, y - np.where(x < 0, 16, 24)
    radius, angle = np.hypot(across, up), np.arctan2(up, across)
    at = np.stack([angle / (2 * np.pi) + 0.5, np.log1p(radius / 12) * 2.6 + 12 * (x > 0)])
    texture = np.zeros_like(x)
    for count, strength in ((9, 1.0), (19, 0.7), (37, 0.45)):
        # Rows: directions. Columns: distances, first those of the right lung, then those of the left.
        noise = random.standard_normal((count, 24)).astype(np.float32)
        value = ndimage.map_coordinates(noise, at * [[[count]], [[1]]], order=1, mode="grid-wrap", output=np.float32)
        texture += strength * np.exp(-((value / 0.22) ** 2))
    hila = 3.0 * np.exp(-((radius / 17) ** 2))
    return 7.0 * (hila + texture * np.exp(-radius / 62) * np.clip(radius / 14, 0, 1)) * np.clip(lung / 60, 0, 1)
