"""An endless clip, and the trackers whose memory is measured on it: Saccade's, and transformers' session.

A drawn clip is shown forwards and backwards without end. As with users, Saccade's tracker gets a new object
every `REPLACE_EVERY` frames, and its oldest is released. transformers' session cannot remove objects: it
tracks those of the first frame all the time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from engines.geometry import to_mask_prompt, to_square
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import CompiledTracker
from engines.tracking.tracker import SamTracker
from lab.benchmarks.baselines import make_session, normalise
from lab.evaluation.propagation import answer_from_masks
from lab.training.world.holdout import Split
from lab.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Mask, Pixels, QueryId, StreamId

REPLACE_EVERY: Final = 25
"Frames after which an object is replaced."
CLIP_FRAMES: Final = 60
"2 s at 30 frames per second."
MIN_SHARE: Final = 0.01
"Of a frame that an object covers where its mask is used as a prompt."
_STREAM: Final = StreamId("endless")


class EndlessClip:
    """A clip played forwards and backwards without end. Every frame has an object that is large enough."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.size = clip.frames.shape[1:3]
        "(height, width)"

    def frame(self, index: int) -> Pixels:
        """Return frame `index`, (H, W, 3) uint8 RGB."""
        frame: Pixels = self._clip.frames[self._clip_index(index)]
        return frame

    def object_masks(self, index: int) -> list[Mask]:
        """Return the masks (H, W) of the objects that cover more than `MIN_SHARE` of a frame."""
        masks = self._clip.masks[self._clip_index(index)]
        return [mask for mask in masks if mask.mean() > MIN_SHARE]

    def _clip_index(self, index: int) -> int:
        last = len(self._clip.frames) - 1
        return last - abs(last - index % (2 * last))


def draw_endless_clip(objects: int) -> EndlessClip:
    """Draw a held-out scene with at least this many objects (1 to 3) on its first frame."""
    first = Split.UNSEEN.first_seed
    for seed in range(first, first + 1000):
        if len(EndlessClip(draw_clip(seed, frames=2)).object_masks(0)) >= objects:
            clip = EndlessClip(draw_clip(seed, frames=CLIP_FRAMES))
            if all(clip.object_masks(index) for index in range(CLIP_FRAMES)):
                return clip
    raise AssertionError("one of a thousand drawn scenes has that many objects")


class SaccadeRun:
    """The product's tracker, whose objects are replaced one after another. A `soak.EngineRun`."""

    def __init__(
        self,
        compiled: CompiledTracker,
        clip: EndlessClip,
        objects: int,
        replace_every: int = REPLACE_EVERY,
    ) -> None:
        self.tracker = SamTracker(compiled, capacity=objects)
        self._clip = clip
        self._objects = objects
        self._replace_every = replace_every
        self._asked = 0
        self._queries: deque[QueryId] = deque()
        self._answers: list[Answer] = []

    def step(self, index: int) -> None:
        """Track frame `index`, the next one."""
        frame = Frame(_STREAM, index, self._clip.frame(index), index / 30, 0.0, Clock.ARRIVAL)
        self.tracker.step(frame, self._answers)
        self._answers = [self._next_object(index)] if index % self._replace_every == 0 else []

    def held_bytes(self) -> int:
        """Return the size of the tracker's memories."""
        return self.tracker.nbytes

    def _next_object(self, index: int) -> Answer:
        """Release the oldest query of a full tracker; return an answer about an object of this frame."""
        if len(self._queries) == self._objects:
            self.tracker.release(self._queries.popleft())
        self.tracker.pin(index)
        masks = self._clip.object_masks(index)
        mask = masks[self._asked % len(masks)]
        self._queries.append(QueryId(f"q{self._asked:06}"))
        self._asked += 1
        return replace(answer_from_masks(mask[None]), query_id=self._queries[-1], keyframe_index=index)


class TransformersRun:
    """transformers' video session, fed frame by frame. A `soak.EngineRun`."""

    def __init__(self, weights: TrackerWeights, clip: EndlessClip, objects: int) -> None:
        self._model: Any = weights.model
        self._side_px = weights.side_px
        self._clip = clip
        logits = np.where(clip.object_masks(0)[:objects], 10.0, -10.0).astype(np.float32)
        prompts = [to_mask_prompt(mask, self._side_px) for mask in logits]
        self._session = make_session(self._model, clip.size, prompts)

    @torch.inference_mode()
    def step(self, index: int) -> None:
        """Track frame `index`, the next one."""
        self._model(self._session, frame=normalise(to_square(self._clip.frame(index), self._side_px)))

    def held_bytes(self) -> None:
        """Return None: the session does not report its size."""
