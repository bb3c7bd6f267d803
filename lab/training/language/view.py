"""What can be known of one frame: who is seen, where, how large, before whom, and how it has moved.

Facts come in three values where there is a margin: yes, no, and None for what nobody should be asked.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.catalogue import Thing
from lab.training.world.holdout import Split, is_held_out, split_of
from lab.training.world.levels import Level
from lab.training.world.scenes import Clip

SEEN_PX: Final = 0.004
"A thing is talked about from this fraction of the picture on."
SEEN_OF_WHOLE: Final = 0.4
"... and from this fraction of its own whole shape on."
PLACE_GAP: Final = 0.15
"The extreme thing leads the next one by this fraction of the picture."
ORDER_GAP: Final = 0.08
"Things in a row are this fraction of the picture apart."
BESIDE_GAP: Final = 0.1
"A thing is left of another from this distance between their middles on ..."
NOT_BESIDE: Final = 0.04
"... and certainly not from this distance the other way."
SIZE_RATIO: Final = 1.25
"A thing is larger from this ratio of lengths on."
COVERED: Final = 0.05
"A thing is behind another that hides this share of it."
LOOK_BACK_S: Final = 0.3
"Movement is judged over so long ..."
STOP_BACK_S: Final = 0.9
"... and having stopped over so long."
SLOW, FAST = 0.03, 0.12
"Pictures per second below which nothing moves, and above which it clearly does."
FASTER: Final = 1.5

Seen = tuple[int, ...]
"Indices of things, ascending."
Name = tuple[str | None, str | None]
"Kind and colour."


@dataclass(frozen=True, eq=False)
class View:
    """One frame of a clip."""

    clip: Clip
    frame: int

    @property
    def level(self) -> Level:
        """Of the clip."""
        return self.clip.level

    @property
    def things(self) -> tuple[Thing, ...]:
        """Of the clip."""
        return self.clip.things

    @cached_property
    def _area(self) -> NDArray[np.intp]:
        return np.array([np.count_nonzero(mask) for mask in self.clip.masks[self.frame]])

    @cached_property
    def seen(self) -> Seen:
        """Things clearly seen."""
        floor = SEEN_PX * self.clip.masks.shape[2] * self.clip.masks.shape[3]
        clear = (self._area >= floor) & (self._area >= SEEN_OF_WHOLE * self.clip.whole_px[self.frame])
        return tuple(int(index) for index in np.flatnonzero(clear))

    @cached_property
    def doubtful(self) -> Seen:
        """Things seen too little to talk about."""
        return tuple(int(index) for index in np.flatnonzero(self._area > 0) if index not in self.seen)

    def may_name(self, thing: Thing) -> bool:
        """Whether words about such a thing may be said in this clip: training never hears of some."""
        return self._names_all or not is_held_out(thing)

    @cached_property
    def _names_all(self) -> bool:
        return split_of(self.clip.seed) is Split.COMBINATIONS

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """Of what is seen: of nothing in particular, by kind, by colour, by both; each once, if it may be
        said."""
        there = [self.things[index] for index in self.seen]
        names: list[Name] = [(None, None), *((thing.kind, None) for thing in there)]
        names += [(None, thing.colour) for thing in there]
        names += [thing for thing in there if self.may_name(thing)]
        return tuple(dict.fromkeys(names))

    def called(self, kind: str | None, colour: str | None) -> Seen | None:
        """Things of that kind and colour, None standing for any; None if one of them is hardly seen."""
        name = kind, colour
        if name not in self._called:
            self._called[name] = None if self._of(name, self.doubtful) else self._of(name, self.seen)
        return self._called[name]

    @cached_property
    def _called(self) -> dict[Name, Seen | None]:
        """What has been asked for: the same few names are, again and again."""
        return {}

    def _of(self, name: Name, among: Seen) -> Seen:
        kind, colour = name
        things = self.things
        return tuple(
            index
            for index in among
            if kind in (None, things[index].kind) and colour in (None, things[index].colour)
        )

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(N, 2): x, y of the middle of what is seen, as fractions of the picture; NaN of what is not."""
        found = np.full((len(self.things), 2), np.nan)
        for index in self.seen:
            mask = self.clip.masks[self.frame, index]
            for axis in (0, 1):
                found[index, axis] = np.flatnonzero(mask.any(axis=axis)).mean() / mask.shape[1 - axis]
        return found

    def larger(self, one: int, other: int) -> bool | None:
        """By area and by extent; None where they disagree or are nearly alike."""
        ratios = [mine / yours for mine, yours in zip(self._lengths[one], self._lengths[other], strict=True)]
        if min(ratios) >= SIZE_RATIO:
            return True
        return False if max(ratios) <= 1 / SIZE_RATIO else None

    @cached_property
    def _lengths(self) -> list[list[float]]:
        """Of every thing by its area and by its box."""
        x0, y0, x1, y1 = self.clip.boxes[self.frame].T
        areas = np.stack([self.clip.whole_px[self.frame], (x1 - x0) * (y1 - y0)], axis=1)
        return [[float(length) for length in lengths] for lengths in np.sqrt(areas)]

    def beside(self, one: int, other: int, axis: int) -> bool | None:
        """Whether the first lies clearly before the other along x (axis 0) or y (axis 1)."""
        ahead = self.ahead(other, one, axis)
        aside = abs(self.ahead(other, one, 1 - axis))
        if ahead >= max(BESIDE_GAP, 0.5 * aside):
            return True
        return False if ahead <= -NOT_BESIDE else None

    def ahead(self, one: int, other: int, axis: int) -> float:
        """How much further along x (axis 0) or y (axis 1) the first lies, as a fraction of the picture."""
        return self._places[one][axis] - self._places[other][axis]

    @cached_property
    def _places(self) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in self.centres]

    def behind(self, one: int, other: int) -> bool | None:
        """Whether the other hides a good part of the first."""
        hidden = float(self.clip.covered_px[self.frame, one, other])
        if hidden >= COVERED * self.clip.whole_px[self.frame, one]:
            return True
        return False if hidden == 0 and not self._touch(one, other) else None

    def _touch(self, one: int, other: int) -> bool:
        """Whether the boxes around the whole shapes meet, and the first is not simply in front."""
        if self.clip.covered_px[self.frame, other, one] > 0:
            return False
        a, b = self._boxes[one], self._boxes[other]
        return a[0] < b[2] and a[1] < b[3] and b[0] < a[2] and b[1] < a[3]

    @cached_property
    def _boxes(self) -> list[list[float]]:
        return [[float(side) for side in box] for box in self.clip.boxes[self.frame]]

    # --- movement: pictures per second, once as things go in the world and once as they go in the picture

    @cached_property
    def moves_known(self) -> bool:
        """Whether the clip reaches back far enough to speak of movement."""
        return self.frame >= self._back and self.clip.step_s <= LOOK_BACK_S

    @cached_property
    def _back(self) -> int:
        return max(2, math.ceil(LOOK_BACK_S / self.clip.step_s - 1e-6))

    @cached_property
    def velocities(self) -> NDArray[np.float64]:
        """(N, 4, 2): of every thing in both halves of the last moments, in the world and in the picture."""
        stops = (self.frame - self._back, self.frame - self._back // 2, self.frame)
        tracks = (self.clip.paths, self.clip.centres)
        halves = itertools.pairwise(stops)
        return np.stack([self._velocity(track, *half) for half in halves for track in tracks], axis=1)

    @cached_property
    def speeds(self) -> NDArray[np.float64]:
        """(N, 4): the lengths of `velocities`."""
        return np.asarray(np.linalg.norm(self.velocities, axis=2))

    def _velocity(self, track: NDArray[np.float32], start: int, end: int) -> NDArray[np.float64]:
        """(N, 2)"""
        size = np.array([self.clip.masks.shape[3], self.clip.masks.shape[2]])
        steps = np.subtract(track[end], track[start], dtype=np.float64)
        return np.asarray(steps / size / ((end - start) * self.clip.step_s))

    def goes(self, index: int, axis: int, sign: int) -> bool | None:
        """Whether it moves that way, along x (axis 0) or y (axis 1), and not much to its side."""
        along = sign * self.velocities[index, :, axis]
        aside = np.abs(self.velocities[index, :, 1 - axis])
        if (along >= FAST).all() and (along >= 1.5 * aside).all():
            return True
        return False if (along <= SLOW).all() else None

    def moves(self, index: int) -> bool | None:
        """Whether it moves at all."""
        if (self.speeds[index] >= FAST).all():
            return True
        return False if (self.speeds[index] <= SLOW).all() else None

    def stopped(self, index: int) -> bool | None:
        """Whether it stands after having moved of late; None too where it moved long ago, or too little of
        the past is known."""
        moves = self.moves(index)
        if moves is not False:
            return None if moves is None else False
        late = max(self._back, math.ceil(STOP_BACK_S / self.clip.step_s - 1e-6))
        if self.frame < late:
            return None
        steps = [self._velocity(self.clip.paths, k, k + 1)[index] for k in range(self.frame)]
        went = [float(np.linalg.norm(step)) for step in steps]
        if max(went[-late:]) >= FAST:
            return True
        return False if max(went) <= SLOW else None

    def nears(self, index: int) -> bool | None:
        """Whether it gets clearly larger; None where it hardly changes or clearly shrinks less than that."""
        growth = self._growth(index)
        if growth >= 1.08:
            return True
        return False if growth <= 1.01 else None

    def recedes(self, index: int) -> bool | None:
        """Whether it gets clearly smaller."""
        growth = self._growth(index)
        if growth <= 1 / 1.08:
            return True
        return False if growth >= 0.99 else None

    def _growth(self, index: int) -> float:
        whole = self.clip.whole_px[:, index]
        return math.sqrt(float(whole[self.frame] / max(whole[self.frame - self._back], 1.0)))

    def faster(self, one: int, other: int) -> bool | None:
        """Whether the first outruns the other in the world and in the picture."""
        first, second = self.speeds[one], self.speeds[other]
        if (first >= np.maximum(FASTER * second, FAST)).all():
            return True
        return False if (second >= np.maximum(FASTER * first, FAST)).all() else None
