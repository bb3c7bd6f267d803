"""How well a tracker follows: drawn clips it has never seen, stepped as the service steps it.

Every thing clearly seen on the first frame is given there, by its true mask at the size a grounder's
mask has, and followed through the rest without another word.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.geometry import mask_iou
from engines.masks import decode_mask
from engines.tracking.compiled import CompiledTracker
from engines.tracking.tracker import KEEP_IOU, SamTracker
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.levels import KNOWN, Level
from engines.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Prompt, QueryId, StreamId

_CLEAR = 0.004
"A thing is given from this share of the picture on."
_FOUND_J = 0.5
_FOUND_WITHIN = 10
"Frames after its return in which a thing must be found again."


@dataclass(frozen=True, slots=True)
class FollowingScore:
    """Figures of `score_tracker`; shares are NaN where there was no case."""

    clips: int
    objects: int
    j: float
    "Mean IoU over frames on which the thing is seen, the given one left out."
    j_copy: float
    "The same of the first mask, kept: the floor."
    absences: int
    "Times a thing was wholly out of sight for 3 frames or more and came back."
    found_again: float
    f"Share of those after which the same track had IoU >= {_FOUND_J} within {_FOUND_WITHIN} frames."
    silent: float
    "Share of frames without the thing on which its track had no mask."


def score_tracker(
    compiled: CompiledTracker,
    *,
    clips: int,
    frames: int,
    stride: float,
    keep_iou: float = KEEP_IOU,
    level: Level = KNOWN,
) -> FollowingScore:
    """Follow things of held-out clips; `stride`, `level` as in `draw_clip`, `keep_iou` as in `SamTracker`."""
    figures: dict[str, list[float]] = defaultdict(list)
    objects = 0
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + clips):
        clip = draw_clip(seed, frames=frames, stride=stride, level=level)
        things = [n for n in range(len(clip.things)) if clip.masks[0, n].mean() > _CLEAR]
        objects += len(things)
        for thing, drawn in zip(
            things,
            _follow(SamTracker(compiled, capacity=len(clip.things), keep_iou=keep_iou), clip, things),
            strict=True,
        ):
            _judge(clip.masks[:, thing], drawn, figures)

    def mean(name: str) -> float:
        return round(float(np.mean(figures[name])), 4) if figures[name] else float("nan")

    return FollowingScore(
        clips=clips,
        objects=objects,
        j=mean("j"),
        j_copy=mean("j_copy"),
        absences=len(figures["found_again"]),
        found_again=mean("found_again"),
        silent=mean("silent"),
    )


def given_answer(clip: Clip, things: list[int]) -> Answer:
    """The true masks of things on frame 0, as a grounder's answer: a query of one name for each thing."""
    low = [
        cv2.resize(clip.masks[0, n].astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
        for n in things
    ]
    prompts = tuple(Prompt(str(n), np.zeros(1, np.float32), 1.0) for n in things)
    logits = (np.stack(low) - 0.5).astype(np.float32) * 20
    return Answer(StreamId("score"), QueryId("q"), 1, 0, "", prompts, logits)


def _follow(tracker: SamTracker, clip: Clip, things: list[int]) -> list[list[NDArray[np.bool_] | None]]:
    """For every thing its track's mask on every frame but the first; a lost id is never replaced."""
    drawn: list[list[NDArray[np.bool_] | None]] = [[] for _ in things]
    if not things:
        return drawn
    for index, pixels in enumerate(clip.frames):
        answers = [given_answer(clip, things)] if index == 1 else []
        frame = Frame(StreamId("score"), index, pixels, index / 30, 0.0, Clock.ARRIVAL)
        tracks = {int(track.phrase): track for track in tracker.step(frame, answers)}
        if index == 0:
            tracker.pin(0)
            continue
        for place, thing in enumerate(things):
            track = tracks.get(thing)
            drawn[place].append(decode_mask(track.mask) if track and track.mask else None)
    return drawn


def _judge(
    truth: NDArray[np.bool_], drawn: list[NDArray[np.bool_] | None], figures: dict[str, list[float]]
) -> None:
    seen = [bool(one.any()) for one in truth]
    overlaps = [
        mask_iou(mask, truth[k]) if mask is not None else 0.0 for k, mask in enumerate(drawn, start=1)
    ]
    for index in range(1, len(truth)):
        if seen[index]:
            figures["j"].append(overlaps[index - 1])
            figures["j_copy"].append(mask_iou(truth[0], truth[index]))
        else:
            figures["silent"].append(float(drawn[index - 1] is None))
    for back in range(4, len(truth)):
        if seen[back] and not any(seen[back - 3 : back]):
            window = overlaps[back - 1 : back - 1 + _FOUND_WITHIN]
            figures["found_again"].append(float(max(window) >= _FOUND_J))
