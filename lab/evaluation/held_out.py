"""Held-out scenes as keyframes: the newest frame, in half of the scenes with earlier frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lab.training.task_mixture import WINDOW, WINDOW_STEP_S
from lab.training.world.holdout import Split
from lab.training.world.levels import NANO_LEVEL, Level
from lab.training.world.scenes import SAMPLE_FPS, Clip, draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, Mask, Query, QueryId, QueryKind, StreamId

SIZE: Final = (360, 640)
"(height, width) in pixels."
FRAMES: Final = WINDOW[-1] + 1
"Of a scene with earlier frames: as far back as expressions about motion reach (`frame_facts.STOP_BACK_S`)."
EARLIER: Final = WINDOW[:-1]
"Frames that a keyframe has besides the last: 0.9 s and 0.3 s before it."
STREAM: Final = StreamId("held-out")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A clip whose last frame is asked about."""

    clip: Clip

    @property
    def frame(self) -> int:
        """Index of the frame asked about."""
        return len(self.clip.frames) - 1

    def mask_of(self, objects: Sequence[int]) -> Mask:
        """Return the union of objects' visible masks, (H, W) bool."""
        mask: Mask = self.clip.masks[self.frame][list(objects)].any(axis=0)
        return mask

    def keyframe(self, texts: Sequence[str], kind: QueryKind) -> Keyframe:
        """Return the frame as a keyframe with queries of one kind."""
        frame = Frame(
            STREAM, self.frame, self.clip.frames[-1], self.frame * WINDOW_STEP_S, 0.0, Clock.ARRIVAL
        )
        queries = tuple(Query(QueryId(f"q{k}"), STREAM, text, kind) for k, text in enumerate(texts))
        earlier = EARLIER if self.frame else ()
        return Keyframe(frame, queries, 0.0, earlier=tuple(self.clip.frames[index] for index in earlier))


def draw_scene(seed: int, level: Level = NANO_LEVEL) -> Scene:
    """Draw a seed's scene. On a level with expressions about motion, even seeds give earlier frames."""
    moves = "motion" in level.expression_kinds and seed % 2 == 0
    frames = FRAMES if moves else 1
    return Scene(draw_clip(seed, frames=frames, size=SIZE, stride=WINDOW_STEP_S * SAMPLE_FPS, level=level))


def draw_scenes(count: int, level: Level = NANO_LEVEL, split: Split = Split.UNSEEN) -> Iterator[Scene]:
    """Yield the first `count` scenes of a held-out set, drawn on demand."""
    return (draw_scene(split.first_seed + index, level) for index in range(count))
