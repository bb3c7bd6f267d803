"""A film without an end, and what follows things through it: ours, and transformers' own session.

A drawn clip is shown forwards and backwards for ever. Of ours, as of a stream with users, one question is
let go every `CHANGE_EVERY` frames and another asked. Transformers' session can let nothing go, so it is
spared that: it follows the things of the first picture all the way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from engines.backends.choose import choose_backend
from engines.geometry import to_mask_prompt, to_square
from engines.tracking.checkpoints import TrackerWeights, load_tracker_weights
from engines.tracking.compilation import compile_tracker
from engines.tracking.compiled import CompiledTracker
from engines.tracking.tracker import SamTracker
from lab.benchmarks.baselines import normalised, session_of
from lab.benchmarks.soak import THEIRS, Follower
from lab.evaluation.propagation import given_answer
from lab.training.world.holdout import Split
from lab.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Mask, Pixels, QueryId, StreamId

CHANGE_EVERY: Final = 25
PICTURES: Final = 60
"Of the clip: 2 s."
CLEAR: Final = 0.01
"A thing covers at least this share of a picture on which it is given."
_STREAM: Final = StreamId("endless")


class EndlessFilm:
    """A clip forwards, backwards and so on. At least one thing is clear on every picture."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.size = clip.frames.shape[1:3]

    def picture(self, index: int) -> Pixels:
        """(H, W, 3)"""
        frame: Pixels = self._clip.frames[self._place(index)]
        return frame

    def clear(self, index: int) -> list[Mask]:
        """Masks of the things clearly seen on a picture."""
        masks = self._clip.masks[self._place(index)]
        return [mask for mask in masks if mask.mean() > CLEAR]

    def _place(self, index: int) -> int:
        last = len(self._clip.frames) - 1
        return last - abs(last - index % (2 * last))


def draw_film(objects: int) -> EndlessFilm:
    """An unseen scene in which so many things (1 to 3) are clear on the first picture."""
    first = Split.UNSEEN.first_seed
    for seed in range(first, first + 1000):
        if len(EndlessFilm(draw_clip(seed, frames=2)).clear(0)) >= objects:
            film = EndlessFilm(draw_clip(seed, frames=PICTURES))
            if all(film.clear(index) for index in range(PICTURES)):
                return film
    raise AssertionError("a thousand drawn scenes hold one with that many things")


class OurFollower:
    """The product's tracker, whose objects come and go."""

    def __init__(
        self, compiled: CompiledTracker, film: EndlessFilm, objects: int, change_every: int = CHANGE_EVERY
    ) -> None:
        self.tracker = SamTracker(compiled, capacity=objects)
        self._film = film
        self._objects = objects
        self._change_every = change_every
        self._asked = 0
        self._queries: deque[QueryId] = deque()
        self._answers: list[Answer] = []

    def step(self, index: int) -> None:
        """See `soak.Follower`."""
        frame = Frame(_STREAM, index, self._film.picture(index), index / 30, 0.0, Clock.ARRIVAL)
        self.tracker.step(frame, self._answers)
        changes = index % self._change_every == 0
        self._answers = [self._change(index)] if changes else []

    def held_bytes(self) -> int:
        """See `soak.Follower`."""
        return self.tracker.nbytes

    def _change(self, index: int) -> Answer:
        """Let the oldest query go where all places are taken, and answer a new one with this picture."""
        if len(self._queries) == self._objects:
            self.tracker.release(self._queries.popleft())
        self.tracker.pin(index)
        things = self._film.clear(index)
        thing = things[self._asked % len(things)]
        self._queries.append(QueryId(f"q{self._asked:06}"))
        self._asked += 1
        return replace(given_answer(thing[None]), query_id=self._queries[-1], keyframe_index=index)


class TheirFollower:
    """transformers' own session, fed as a stream is."""

    def __init__(self, weights: TrackerWeights, film: EndlessFilm, objects: int) -> None:
        self._model: Any = weights.model
        self._side = weights.side_px
        self._film = film
        given = np.where(film.clear(0)[:objects], 10.0, -10.0).astype(np.float32)
        prompts = [to_mask_prompt(one, self._side) for one in given]
        self._session = session_of(self._model, film.size, prompts)

    @torch.inference_mode()
    def step(self, index: int) -> None:
        """See `soak.Follower`."""
        self._model(self._session, frame=normalised(to_square(self._film.picture(index), self._side)))

    def held_bytes(self) -> None:
        """See `soak.Follower`."""


def choose_follower(engine: str, model: str, objects: int, threads: int) -> Follower:
    """Whoever is called so, at the film's beginning.

    engine: `THEIRS`, or a backend's name. Raises NotFound, CheckpointError, BackendUnavailable.
    """
    torch.set_num_threads(threads)
    weights, film = load_tracker_weights(model), draw_film(objects)
    if engine == THEIRS:
        return TheirFollower(weights, film, objects)
    compiled = compile_tracker(weights, choose_backend(engine, threads=threads, capacity=objects))
    return OurFollower(compiled, film, objects)
