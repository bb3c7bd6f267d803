"""What three ways of asking a grounder save, on one model, in one run.

An answer that is given ("Sure, [SEG].", read in one prefill) against the same answer said token by token as
generation says it; queries that share a keyframe's picture against the same queries each asked alone;
keyframes of several streams together against one after the other. Who is compared takes turns, the order
reversed each time, so that what else the machine does falls on all alike. Every query is drawn, whatever the
model believes: random weights believe nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engines.grounding.checkpoints import RunOptions, Sa2Va, load_sa2va
from engines.grounding.grounder import SaGrounder
from engines.grounding.keyframe_features import KeyframeFeatures
from engines.grounding.model import best_mask
from engines.grounding.prefix import Prefix
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, StreamId

SIZE: Final = (360, 640)
"(height, width) of the drawn keyframe."
STREAMS: Final = 4
"Whose keyframes are worked on together."
_SCENE: Final = 8
_STREAM: Final = StreamId("bench")
_THINGS: Final = tuple(
    f"the {colour} {thing}"
    for colour in ("red", "blue", "green", "yellow")
    for thing in ("car", "cup", "box", "ball")
)


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One query's answer, said token by token and given in one prefill. Times are medians."""

    part: str
    '"words": the language model alone, behind a picture it has read; "keyframe": from pixels to mask.'
    said_ms: float
    given_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class SharingRow:
    """Queries on one keyframe, each asked alone and all together. Times are medians, from pixels to masks."""

    queries: int
    alone_ms: float
    shared_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class StreamsRow:
    """Keyframes of several streams with one query each, one after the other and together. Medians."""

    streams: int
    alone_ms: float
    together_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class GrounderReport:
    """What `bench_grounder` measured of one model."""

    model: str
    parameters: int
    dtype: str
    "Of the language model."
    device: str
    threads: int
    repeats: int
    answer_tokens: int
    "Of the answer that is said or given."
    answers: tuple[AnswerRow, ...]
    sharing: tuple[SharingRow, ...]
    streams: tuple[StreamsRow, ...]


def bench_grounder(
    model: str = "nano",
    queries: Sequence[int] = (1, 4, 16),
    *,
    repeats: int = 10,
    threads: int = 1,
    device: str = "cpu",
) -> GrounderReport:
    """Time a checkpoint, named as `load_sa2va` names it, with each number of queries (1-16) on a keyframe.

    Raises NotFound, CheckpointError, BackendUnavailable.
    """
    torch.set_num_threads(threads)
    checkpoint = load_sa2va(model, RunOptions(dtype="auto", device=device))
    sure = replace(checkpoint, config={**checkpoint.config, "presence_threshold": 0.0})
    with torch.inference_mode():
        answers = _answers(sure, repeats)
        sharing = tuple(_sharing(SaGrounder(sure), count, repeats) for count in queries)
        streams = (_streams(SaGrounder(sure), STREAMS, repeats),)
    weights = list(checkpoint.model.parameters())
    return GrounderReport(
        model=model,
        parameters=sum(weight.numel() for weight in weights),
        dtype=str(checkpoint.model.mllm.dtype).removeprefix("torch."),
        device=str(checkpoint.model.device),
        threads=threads,
        repeats=repeats,
        answer_tokens=len(checkpoint.template.answer),
        answers=answers,
        sharing=sharing,
        streams=streams,
    )


def _answers(checkpoint: Sa2Va, repeats: int) -> tuple[AnswerRow, ...]:
    keyframe, template = _keyframe(1), checkpoint.template
    question = template.segment_question(_THINGS[0])
    prefix = KeyframeFeatures(checkpoint, keyframe).prefix(past=False)
    grounder = SaGrounder(checkpoint)
    words = _race(
        {
            "said": lambda: _said(checkpoint, prefix, question).cpu(),
            "given": lambda: prefix.prefill([[*question, *template.answer]]).hidden.cpu(),
        },
        repeats,
    )
    whole = _race(
        {
            "said": lambda: _said_and_drawn(checkpoint, keyframe, question),
            "given": lambda: grounder.ground(keyframe),
        },
        repeats,
    )
    return tuple(
        AnswerRow(part, _ms(spent["said"]), _ms(spent["given"]), round(spent["said"] / spent["given"], 2))
        for part, spent in (("words", words), ("keyframe", whole))
    )


def _said(checkpoint: Sa2Va, prefix: Prefix, question: list[int]) -> Tensor:
    """The answer as generation comes to it where the model says the template: (A, D) states at its tokens.

    What is chosen is not looked at, for random weights would choose something else.
    """
    *said, _ = checkpoint.template.answer
    states = []
    with prefix.decode(question) as decoding:
        for token in said:
            checkpoint.model.token_log_probs(decoding.hidden).argmax(dim=-1).item()
            decoding.append(token)
            states.append(decoding.hidden)
        checkpoint.model.token_log_probs(decoding.hidden).argmax(dim=-1).item()
    return torch.stack(states)


def _said_and_drawn(checkpoint: Sa2Va, keyframe: Keyframe, question: list[int]) -> Tensor:
    """(1, h, w) logits, from the picture on."""
    model, features = checkpoint.model, KeyframeFeatures(checkpoint, keyframe)
    states = _said(checkpoint, features.prefix(past=False), question)
    zero = torch.zeros(1, dtype=torch.int64)
    words = model.expressions(states[None], zero, zero, zero + checkpoint.template.seg_offset)
    return best_mask(*model.decode_masks(features.feature_maps, words.seg[None], words))[0].cpu()


def _sharing(grounder: SaGrounder, count: int, repeats: int) -> SharingRow:
    together = _keyframe(count)
    apart = [replace(together, queries=(query,)) for query in together.queries]
    spent = _race(
        {
            "alone": lambda: [grounder.ground(one) for one in apart],
            "shared": lambda: grounder.ground(together),
        },
        repeats,
    )
    return SharingRow(
        count, _ms(spent["alone"]), _ms(spent["shared"]), round(spent["alone"] / spent["shared"], 2)
    )


def _streams(grounder: SaGrounder, count: int, repeats: int) -> StreamsRow:
    keyframes = [_keyframe(1, _SCENE + number) for number in range(count)]
    spent = _race(
        {
            "alone": lambda: [grounder.ground(one) for one in keyframes],
            "together": lambda: grounder.ground_batch(keyframes),
        },
        repeats,
    )
    speedup = round(spent["alone"] / spent["together"], 2)
    return StreamsRow(count, _ms(spent["alone"]), _ms(spent["together"]), speedup)


def _race(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, in alternating order; the first time is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name in list(runs)[:: 1 if turn % 2 else -1]:
            started_s = time.perf_counter()
            runs[name]()
            spent[name].append(time.perf_counter() - started_s)
    return {name: float(np.median(times[1:])) for name, times in spent.items()}


def _keyframe(count: int, scene: int = _SCENE) -> Keyframe:
    """A drawn picture with so many referring queries."""
    pixels = draw_clip(scene, frames=1, size=SIZE).frames[0]
    frame = Frame(_STREAM, 0, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    queries = (Query(QueryId(f"q{k}"), _STREAM, text) for k, text in enumerate(_THINGS[:count]))
    return Keyframe(frame, tuple(queries), asked_s=0.0)


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 2)
