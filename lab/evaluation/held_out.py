"""Held-out scenes as the service shows them to a grounder: the newest picture, half of them with its past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lab.training.task_mixture import STEP_S, WINDOW
from lab.training.world.holdout import Split
from lab.training.world.levels import NANO_LEVEL, Level
from lab.training.world.scenes import SAMPLE_FPS, Clip, draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, Mask, Query, QueryId, QueryKind, StreamId

SIZE: Final = (360, 640)
"Of the pictures, (height, width) in pixels: a small camera's."
PICTURES: Final = WINDOW[-1] + 1
"Of a scene with a past: as far back as any word about movement reaches (`language.frame_facts.STOP_BACK_S`)."
EARLIER: Final = WINDOW[:-1]
"Of these, what a keyframe shows of the past: 0.9 s and 0.3 s before the last."
STREAM: Final = StreamId("held-out")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Something to ask about: the last picture of a clip."""

    clip: Clip

    @property
    def frame(self) -> int:
        """Index of the picture asked about."""
        return len(self.clip.frames) - 1

    def mask_of(self, things: Sequence[int]) -> Mask:
        """What is seen of some things, together."""
        mask: Mask = self.clip.masks[self.frame][list(things)].any(axis=0)
        return mask

    def keyframe(self, texts: Sequence[str], kind: QueryKind) -> Keyframe:
        """The picture with questions of one kind."""
        frame = Frame(STREAM, self.frame, self.clip.frames[-1], self.frame * STEP_S, 0.0, Clock.ARRIVAL)
        queries = tuple(Query(QueryId(f"q{k}"), STREAM, text, kind) for k, text in enumerate(texts))
        past = EARLIER if self.frame else ()
        return Keyframe(frame, queries, 0.0, earlier=tuple(self.clip.frames[index] for index in past))


def draw_scene(seed: int, level: Level = NANO_LEVEL) -> Scene:
    """The scene of a seed. Where a level has words about movement, every even seed's has a past."""
    moves = "motion" in level.expression_kinds and seed % 2 == 0
    frames = PICTURES if moves else 1
    return Scene(draw_clip(seed, frames=frames, size=SIZE, stride=STEP_S * SAMPLE_FPS, level=level))


def draw_scenes(count: int, level: Level = NANO_LEVEL, split: Split = Split.UNSEEN) -> Iterator[Scene]:
    """The first `count` scenes of a set, drawn as they are taken."""
    return (draw_scene(split.first_seed + index, level) for index in range(count))
