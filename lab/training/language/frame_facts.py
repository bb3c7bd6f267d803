"""Facts about the objects of a frame: visible, position, size, occlusion, motion.

A fact with a margin has three values: True, False, and None where a careful person could doubt it. No
expression, question or caption may depend on a None.

Lengths are shares of the image (x of its width, y of its height), speeds are shares of the image per second.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.scene_description import ObjectLabel, SceneDescription, Vocabulary

MIN_VISIBLE_AREA: Final = 0.004
"An object is clearly visible from this share of the image on ..."
MIN_VISIBLE_SHARE: Final = 0.4
"... and from this share of its amodal area on."
PLACE_MARGIN: Final = 0.15
"The leftmost (topmost, ...) object leads the next by at least this."
ORDINAL_MARGIN: Final = 0.08
"Neighbours in a counted row are at least so far apart."
BESIDE_MARGIN: Final = 0.1
"An object is left of (above) another from this distance of centres on ..."
NOT_BESIDE_MARGIN: Final = 0.04
"... and certainly is not from this distance the other way on."
SIZE_RATIO: Final = 1.25
"An object is larger than another from this ratio of lengths on."
MIN_OCCLUDED_SHARE: Final = 0.05
"An object is behind another that hides at least this share of its amodal area."
MOTION_WINDOW_S: Final = 0.3
"Motion is measured over the last so many seconds ..."
STOP_WINDOW_S: Final = 0.9
"... and having stopped over so many."
MAX_STATIC_SPEED, MIN_MOVING_SPEED = 0.03, 0.12
"Up to the first an object is static, from the second on it moves; in between is doubtful."
SPEED_RATIO: Final = 1.5
"An object is faster than another from this ratio of speeds on."
SIZE_GROWTH: Final = 1.08
"An object approaches (recedes) if its length grows (shrinks) by this ratio within MOTION_WINDOW_S ..."
SIZE_STEADY: Final = 1.01
"... and does not up to this ratio."

ObjectIndices = tuple[int, ...]
"Indices into the labels of the scene, ascending."
Name = tuple[str | None, str | None]
"Category and colour; None leaves it open."


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """The facts about one frame of a scene, computed when first asked for and then stored."""

    scene: SceneDescription
    frame: int
    "Index of the frame; motion is measured on the frames before it."

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that may be used of the scene."""
        return self.scene.vocabulary

    @property
    def labels(self) -> tuple[ObjectLabel, ...]:
        """(N,) labels of the scene's objects."""
        return self.scene.labels

    # --- visibility and names -----------------------------------------------------------------------

    @cached_property
    def _visible_px(self) -> NDArray[np.intp]:
        """(N,)"""
        return np.array([np.count_nonzero(mask) for mask in self.scene.masks[self.frame]])

    @cached_property
    def visible(self) -> ObjectIndices:
        """Objects that are clearly visible: expressions refer to these alone."""
        floor = MIN_VISIBLE_AREA * self.scene.masks.shape[2] * self.scene.masks.shape[3]
        whole = self.scene.amodal_area_px[self.frame]
        clear = (self._visible_px >= floor) & (self._visible_px >= MIN_VISIBLE_SHARE * whole)
        return tuple(int(index) for index in np.flatnonzero(clear))

    @cached_property
    def barely_visible(self) -> ObjectIndices:
        """Objects of which something shows, but too little to refer to them or to call them absent."""
        return tuple(
            int(index) for index in np.flatnonzero(self._visible_px > 0) if index not in self.visible
        )

    def may_name(self, label: ObjectLabel) -> bool:
        """Whether a text about the scene may name this combination of category and colour."""
        return self.vocabulary.about_held_out or label not in self.vocabulary.held_out

    @cached_property
    def visible_names(self) -> tuple[Name, ...]:
        """Distinct names of visible objects: (None, None), category, colour, and both if it may be named."""
        there = [self.labels[index] for index in self.visible]
        names: list[Name] = [(None, None), *((label.category, None) for label in there)]
        names += [(None, label.colour) for label in there]
        names += [label for label in there if self.may_name(label)]
        return tuple(dict.fromkeys(names))

    def matching(self, category: str | None, colour: str | None) -> ObjectIndices | None:
        """Visible objects of that category and colour, None for any; None if a barely visible one matches."""
        name = category, colour
        if name not in self._matches:
            doubtful = self._of(name, self.barely_visible)
            self._matches[name] = None if doubtful else self._of(name, self.visible)
        return self._matches[name]

    @cached_property
    def _matches(self) -> dict[Name, ObjectIndices | None]:
        """Results of `matching`: a few names are looked up many times."""
        return {}

    def missing_names(self, rng: np.random.Generator) -> list[Name]:
        """Return names that match no object, the likeliest confusions mostly first.

        Category and colour both occur (of different objects), then one of them, then neither.
        """
        there = [self.labels[index] for index in (*self.visible, *self.barely_visible)]
        colours = list(dict.fromkeys(label.colour for label in there))
        categories = list(dict.fromkeys(label.category for label in there))
        words = self.vocabulary
        rank = dict.fromkeys(
            (ObjectLabel(category, colour) for colour in colours for category in categories), 0.0
        )
        for category in categories:
            rank.setdefault(ObjectLabel(category, random_name(words.colours, rng)), 1.0)
        for _ in range(2):
            rank.setdefault(
                ObjectLabel(random_name(words.categories, rng), random_name(words.colours, rng)), 2.0
            )
        missing = [label for label in rank if label not in there]
        order = np.argsort([rank[label] + rng.uniform(0, 1.5) for label in missing])
        return [missing[index] for index in order]

    def names_to_list(self) -> list[Name]:
        """Return the names under which a caption lists the visible objects, each once, the largest first."""
        area = self.scene.amodal_area_px[self.frame]
        largest = sorted(self.visible, key=lambda index: -float(area[index]))
        return list(dict.fromkeys(self.labels[index] for index in largest))

    def denotes(self, index: int, category: str | None, colour: str | None) -> bool | None:
        """Whether an object may be called so; None for a category or a colour leaves it open."""
        label = self.labels[index]
        return category in (None, label.category) and colour in (None, label.colour)

    def _of(self, name: Name, among: ObjectIndices) -> ObjectIndices:
        category, colour = name
        labels = self.labels
        return tuple(
            index
            for index in among
            if category in (None, labels[index].category) and colour in (None, labels[index].colour)
        )

    # --- position, size, occlusion ------------------------------------------------------------------

    @cached_property
    def visible_centres(self) -> NDArray[np.float64]:
        """(N, 2): x, y of the centre of what is visible; NaN of objects that are not in `visible`.

        Along each axis, the mean of the rows or columns that the mask touches.
        """
        found = np.full((len(self.labels), 2), np.nan)
        for index in self.visible:
            mask = self.scene.masks[self.frame, index]
            for axis in (0, 1):
                found[index, axis] = np.flatnonzero(mask.any(axis=axis)).mean() / mask.shape[1 - axis]
        return found

    def is_larger(self, one: int, other: int) -> bool | None:
        """By amodal area and by amodal box; None where they disagree or the sizes are alike."""
        ratios = [mine / yours for mine, yours in zip(self._lengths[one], self._lengths[other], strict=True)]
        if min(ratios) >= SIZE_RATIO:
            return True
        return False if max(ratios) <= 1 / SIZE_RATIO else None

    @cached_property
    def _lengths(self) -> list[list[float]]:
        """Of every object the square roots of its area and of its box's area, pixels."""
        x0, y0, x1, y1 = self.scene.boxes_px[self.frame].T
        areas = np.stack([self.scene.amodal_area_px[self.frame], (x1 - x0) * (y1 - y0)], axis=1)
        return [[float(length) for length in lengths] for lengths in np.sqrt(areas)]

    def is_before(self, one: int, other: int, axis: int) -> bool | None:
        """Whether the first is left of the other (axis 0) or above it (axis 1).

        True within 63 degrees of the axis, so that what is mostly above is not called left of.
        """
        lead = self.offset(other, one, axis)
        aside = abs(self.offset(other, one, 1 - axis))
        if lead >= max(BESIDE_MARGIN, 0.5 * aside):
            return True
        return False if lead <= -NOT_BESIDE_MARGIN else None

    def offset(self, one: int, other: int, axis: int) -> float:
        """How much further along x (axis 0) or y (axis 1) the first one's visible centre lies."""
        return self._centre_pairs[one][axis] - self._centre_pairs[other][axis]

    @cached_property
    def _centre_pairs(self) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in self.visible_centres]

    def is_behind(self, one: int, other: int) -> bool | None:
        """Whether the other occludes a good part of the first; False only where they are well apart."""
        hidden = float(self.scene.occluded_px[self.frame, one, other])
        if hidden >= MIN_OCCLUDED_SHARE * self.scene.amodal_area_px[self.frame, one]:
            return True
        return False if hidden == 0 and not self._touches(one, other) else None

    def _touches(self, one: int, other: int) -> bool:
        """Whether the amodal boxes overlap, unless the first occludes the other."""
        if self.scene.occluded_px[self.frame, other, one] > 0:
            return False
        a, b = self._boxes[one], self._boxes[other]
        return a[0] < b[2] and a[1] < b[3] and b[0] < a[2] and b[1] < a[3]

    @cached_property
    def _boxes(self) -> list[list[float]]:
        return [[float(side) for side in box] for box in self.scene.boxes_px[self.frame]]

    # --- motion, in the world and in the image; a fact needs both to agree -----------------------------

    @cached_property
    def has_motion_history(self) -> bool:
        """Whether enough frames precede this one, closely enough, to speak of motion."""
        return self.frame >= self._window and self.scene.step_s <= MOTION_WINDOW_S

    @cached_property
    def _window(self) -> int:
        """Frames in MOTION_WINDOW_S, at least 2."""
        return max(2, math.ceil(MOTION_WINDOW_S / self.scene.step_s - 1e-6))

    @cached_property
    def velocities(self) -> NDArray[np.float64]:
        """(N, 4, 2): x, y per second in the world and in the image, over the first half of the window, then
        over the second."""
        ends = (self.frame - self._window, self.frame - self._window // 2, self.frame)
        tracks = (self.scene.world_centres_px, self.scene.centres_px)
        halves = itertools.pairwise(ends)
        return np.stack([self._velocity(track, *half) for half in halves for track in tracks], axis=1)

    @cached_property
    def speeds(self) -> NDArray[np.float64]:
        """(N, 4): the norms of `velocities`."""
        return np.asarray(np.linalg.norm(self.velocities, axis=2))

    def _velocity(self, track: NDArray[np.float32], start: int, end: int) -> NDArray[np.float64]:
        """(N, 2): mean velocity from frame `start` to frame `end`."""
        size = np.array([self.scene.masks.shape[3], self.scene.masks.shape[2]])
        steps = np.subtract(track[end], track[start], dtype=np.float64)
        return np.asarray(steps / size / ((end - start) * self.scene.step_s))

    def moves_towards(self, index: int, axis: int, sign: int) -> bool | None:
        """Whether the object moves along x (axis 0) or y (axis 1), `sign` 1 or -1, and not much sideways."""
        along = sign * self.velocities[index, :, axis]
        aside = np.abs(self.velocities[index, :, 1 - axis])
        if (along >= MIN_MOVING_SPEED).all() and (along >= 1.5 * aside).all():
            return True
        return False if (along <= MAX_STATIC_SPEED).all() else None

    def is_moving(self, index: int) -> bool | None:
        """Whether the object moves in any direction."""
        if (self.speeds[index] >= MIN_MOVING_SPEED).all():
            return True
        return False if (self.speeds[index] <= MAX_STATIC_SPEED).all() else None

    def has_stopped(self, index: int) -> bool | None:
        """Whether the object is static and moved within STOP_WINDOW_S.

        None also where it moved only before that, or where fewer frames precede this one.
        """
        moving = self.is_moving(index)
        if moving is not False:
            return None if moving is None else False
        recent = max(self._window, math.ceil(STOP_WINDOW_S / self.scene.step_s - 1e-6))
        if self.frame < recent:
            return None
        steps = [self._velocity(self.scene.world_centres_px, k, k + 1)[index] for k in range(self.frame)]
        speeds = [float(np.linalg.norm(step)) for step in steps]
        if max(speeds[-recent:]) >= MIN_MOVING_SPEED:
            return True
        return False if max(speeds) <= MAX_STATIC_SPEED else None

    def is_approaching(self, index: int) -> bool | None:
        """Whether the object grows in the image."""
        growth = self._growth(index)
        if growth >= SIZE_GROWTH:
            return True
        return False if growth <= SIZE_STEADY else None

    def is_receding(self, index: int) -> bool | None:
        """Whether the object shrinks in the image."""
        growth = self._growth(index)
        if growth <= 1 / SIZE_GROWTH:
            return True
        return False if growth >= 0.99 else None

    def _growth(self, index: int) -> float:
        """Ratio of the object's length now to that at the start of the window."""
        area = self.scene.amodal_area_px[:, index]
        return math.sqrt(float(area[self.frame] / max(area[self.frame - self._window], 1.0)))

    def is_faster(self, one: int, other: int) -> bool | None:
        """Whether the first is faster than the other, in the world and in the image."""
        first, second = self.speeds[one], self.speeds[other]
        if (first >= np.maximum(SPEED_RATIO * second, MIN_MOVING_SPEED)).all():
            return True
        return False if (second >= np.maximum(SPEED_RATIO * first, MIN_MOVING_SPEED)).all() else None


def random_name(names: tuple[str, ...], rng: np.random.Generator) -> str:
    """Return one of the names."""
    return names[int(rng.integers(len(names)))]
