"""`saccade bench grounder`: the speed-up of three shortcuts of the grounder, on one model, in one run.

The answer "Sure, [SEG]." teacher-forced in one prefill, against generated token by token; queries that share
a keyframe's image prefix, against each with its own; keyframes of several streams in a batch, against one
after the other. What is compared runs alternately, in reversed order every other time, so that other load on
the machine affects both alike. The presence threshold is 0: random weights decode a mask for every query too.
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
"Keyframes per batch."
_SCENE: Final = 8
_STREAM: Final = StreamId("bench")
_EXPRESSIONS: Final = tuple(
    f"the {colour} {category}"
    for colour in ("red", "blue", "green", "yellow")
    for category in ("car", "cup", "box", "ball")
)


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A query's answer, generated token by token and teacher-forced in one prefill. Times are medians."""

    part: str
    '"words": the language model alone, after the image prefix; "keyframe": from pixels to mask.'
    said_ms: float
    "Generated."
    given_ms: float
    "Teacher-forced."
    speedup: float


@dataclass(frozen=True, slots=True)
class SharingRow:
    """Queries on a keyframe, each alone and all on one prefix. Times are medians, from pixels to masks."""

    queries: int
    alone_ms: float
    shared_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class StreamsRow:
    """Keyframes with one query each, one after the other and in a batch. Times are medians."""

    streams: int
    alone_ms: float
    together_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class GrounderReport:
    """What `bench_grounder` measured."""

    model: str
    parameters: int
    dtype: str
    "Of the language model."
    device: str
    threads: int
    repeats: int
    answer_tokens: int
    "Length of the answer."
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
    """Time a checkpoint with each number of queries (1 to 16) on a keyframe; model: for `load_sa2va`.

    Raises NotFound, CheckpointError, BackendUnavailable.
    """
    torch.set_num_threads(threads)
    checkpoint = load_sa2va(model, RunOptions(dtype="auto", device=device))
    always_present = replace(checkpoint, config={**checkpoint.config, "presence_threshold": 0.0})
    with torch.inference_mode():
        answers = _answers(always_present, repeats)
        sharing = tuple(_sharing(SaGrounder(always_present), count, repeats) for count in queries)
        streams = (_streams(SaGrounder(always_present), STREAMS, repeats),)
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
    question = template.segment_question(_EXPRESSIONS[0])
    prefix = KeyframeFeatures(checkpoint, keyframe).prefix(past=False)
    grounder = SaGrounder(checkpoint)
    language_model = _time_alternately(
        {
            "said": lambda: _generate(checkpoint, prefix, question).cpu(),
            "given": lambda: prefix.prefill([[*question, *template.answer]]).hidden.cpu(),
        },
        repeats,
    )
    whole = _time_alternately(
        {
            "said": lambda: _generate_mask(checkpoint, keyframe, question),
            "given": lambda: grounder.ground(keyframe),
        },
        repeats,
    )
    return tuple(
        AnswerRow(
            part, _ms(times_s["said"]), _ms(times_s["given"]), _ratio(times_s["said"], times_s["given"])
        )
        for part, times_s in (("words", language_model), ("keyframe", whole))
    )


def _generate(checkpoint: Sa2Va, prefix: Prefix, question: list[int]) -> Tensor:
    """Decode the template's answer token by token; return the hidden states at its tokens, (A, D).

    The argmax is computed as in generation and discarded: random weights would choose other tokens.
    """
    *tokens, _ = checkpoint.template.answer
    states = []
    with prefix.decode(question) as decoding:
        for token in tokens:
            checkpoint.model.token_log_probs(decoding.hidden).argmax(dim=-1).item()
            decoding.append(token)
            states.append(decoding.hidden)
        checkpoint.model.token_log_probs(decoding.hidden).argmax(dim=-1).item()
    return torch.stack(states)


def _generate_mask(checkpoint: Sa2Va, keyframe: Keyframe, question: list[int]) -> Tensor:
    """Return mask logits (1, h, w), from the keyframe's pixels on."""
    model, features = checkpoint.model, KeyframeFeatures(checkpoint, keyframe)
    states = _generate(checkpoint, features.prefix(past=False), question)
    zero = torch.zeros(1, dtype=torch.int64)
    expressions = model.expressions(states[None], zero, zero, zero + checkpoint.template.seg_offset)
    return best_mask(*model.decode_masks(features.feature_maps, expressions.seg[None], expressions))[0].cpu()


def _sharing(grounder: SaGrounder, count: int, repeats: int) -> SharingRow:
    keyframe = _keyframe(count)
    single = [replace(keyframe, queries=(query,)) for query in keyframe.queries]
    times_s = _time_alternately(
        {
            "alone": lambda: [grounder.ground(each) for each in single],
            "shared": lambda: grounder.ground(keyframe),
        },
        repeats,
    )
    alone_s, shared_s = times_s["alone"], times_s["shared"]
    return SharingRow(count, _ms(alone_s), _ms(shared_s), _ratio(alone_s, shared_s))


def _streams(grounder: SaGrounder, count: int, repeats: int) -> StreamsRow:
    keyframes = [_keyframe(1, _SCENE + number) for number in range(count)]
    times_s = _time_alternately(
        {
            "alone": lambda: [grounder.ground(each) for each in keyframes],
            "together": lambda: grounder.ground_batch(keyframes),
        },
        repeats,
    )
    alone_s, together_s = times_s["alone"], times_s["together"]
    return StreamsRow(count, _ms(alone_s), _ms(together_s), _ratio(alone_s, together_s))


def _time_alternately(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return each run's median seconds over `repeats`, in alternating order, after one warm-up."""
    times_s: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name in list(runs)[:: 1 if repeat % 2 else -1]:
            started_s = time.perf_counter()
            runs[name]()
            times_s[name].append(time.perf_counter() - started_s)
    return {name: float(np.median(values[1:])) for name, values in times_s.items()}


def _keyframe(count: int, scene: int = _SCENE) -> Keyframe:
    """Return a drawn frame with so many referring queries."""
    pixels = draw_clip(scene, frames=1, size=SIZE).frames[0]
    frame = Frame(_STREAM, 0, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    queries = (Query(QueryId(f"q{k}"), _STREAM, text) for k, text in enumerate(_EXPRESSIONS[:count]))
    return Keyframe(frame, tuple(queries), asked_s=0.0)


def _ratio(slow_s: float, fast_s: float) -> float:
    return round(slow_s / fast_s, 2)


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 2)
