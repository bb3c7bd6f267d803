"""The grounder: queries and a keyframe in, `[SEG]` embeddings and masks out.

The keyframe is encoded once. All referring expressions about it are packed behind its prefix in one prefill,
each with the teacher-forced answer "Sure, [SEG].". The probability of that answer up to `[SEG]` is the
presence score; below the threshold the answer is that there is no such object. Otherwise SAM-2's decoder,
without memory, turns the `[SEG]` embedding into a mask on the keyframe. Questions and descriptions are
answered by generation, one after the other, and each `[SEG]` that they generate is decoded in the same way.

A keyframe is shown as a frame of a video: the whole image, resized, not tiled. Referring expressions about
change are asked about the keyframe and its earlier frames together. Keyframes of several streams with
referring expressions only are encoded and prefilled in one batch, if the model can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.grounding import batching
from engines.grounding.checkpoints import DEFAULT_OPTIONS, RunOptions, Sa2Va, load_sa2va
from engines.grounding.conjunction import may_name_several, things_in
from engines.grounding.generation import decode_text, generate, phrases
from engines.grounding.keyframe_features import KeyframeFeatures, is_about_change
from engines.grounding.model import best_mask
from engines.grounding.prefix import PrefillOutput
from engines.grounding.structure import Expressions
from engines.grounding.templates import DESCRIBE, MAX_PHRASE_TOKENS, MAX_QUESTION_TOKENS
from engines.grounding.timings import Step, StepTimer
from engines.grounding.visual_prompts import ask_about_region
from engines.protocols import OnPartialText
from streaming.vocabulary import Answer, GroundSeconds, Keyframe, Logits, Query, QueryKind, SegPrompt

MAX_PACKED: Final = 16
"Questions per prefill; the cost of attention grows with their square, so more are asked in several prefills."
ANSWER_TEXT: Final = "Sure, [SEG]."
NO_REGIONS: Final = "I was not taught to look where you point. Ask about the whole picture."
MAX_SEGS: Final = 8
"Masks of a generated answer at most; further `[SEG]` tokens get none."


@dataclass(frozen=True, slots=True, eq=False)
class _Reply:
    """Text, and N objects, of one query's answer."""

    text: str
    prompts: tuple[SegPrompt, ...] = ()
    logits: Logits | None = None
    "(N, h, w); None if N is 0."


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One keyframe that is being answered."""

    features: KeyframeFeatures
    timer: StepTimer
    on_partial: OnPartialText


def load_grounder(name_or_dir: str | Path, options: RunOptions = DEFAULT_OPTIONS) -> SaGrounder:
    """Load the grounder of `nano` (bundled) or of another checkpoint. Raises as `load_sa2va`."""
    return SaGrounder(load_sa2va(name_or_dir, options))


def ignore_partial(query: Query, text: str) -> None:
    """Do nothing: an `OnPartialText` for callers that want whole answers only."""
    del query, text


class SaGrounder:
    """A `protocols.SharedGrounder` with a Sa2VA checkpoint. Stateless between calls; not thread-safe."""

    def __init__(self, checkpoint: Sa2Va) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._template = checkpoint.template
        self._threshold = checkpoint.presence_threshold

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """Answer every query of the keyframe, in order.

        `ground_s` and `steps_s` are the time of the whole keyframe: its queries share a batch.
        """
        return self.generate(keyframe, ignore_partial)

    @torch.inference_mode()
    def generate(self, keyframe: Keyframe, on_partial: OnPartialText) -> list[Answer]:
        """Answer as `ground`, and pass partial answers to `ask` and `describe` queries to `on_partial`."""
        job = _Job(KeyframeFeatures(self._checkpoint, keyframe), StepTimer(), on_partial)
        replies: dict[Query, _Reply] = {}
        queries = [query for query in keyframe.queries if query.text.strip()]
        for past in (False, True):
            referring = [
                query
                for query in queries
                if query.kind is QueryKind.REFER and is_about_change(query.text) == past
            ]
            things = [(query, thing) for query in referring for thing in things_in(query.text)]
            found: list[_Reply] = []
            for start in range(0, len(things), MAX_PACKED):
                some = [thing for _, thing in things[start : start + MAX_PACKED]]
                found += self._refer(job, some, past=past)
            for query in referring:
                own = zip(things, found, strict=True)
                replies[query] = _joined([reply for (asked, _), reply in own if asked is query])
        replies |= {query: self._generate(job, query) for query in queries if query not in replies}
        return self._answers(keyframe, replies, job.timer.per_keyframe())

    @torch.inference_mode()
    def ground_batch(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        """Answer as `ground` for each keyframe, with the suitable keyframes in one batch."""
        batched = [keyframe for keyframe in keyframes if self._can_batch(keyframe)]
        if len(batched) < 2:
            return [self.ground(keyframe) for keyframe in keyframes]
        answers = dict(zip(map(id, batched), self._ground_batch(batched), strict=True))
        return [answers.get(id(keyframe)) or self.ground(keyframe) for keyframe in keyframes]

    def _answers(
        self, keyframe: Keyframe, replies: Mapping[Query, _Reply], steps_s: GroundSeconds
    ) -> list[Answer]:
        side = self._checkpoint.sam_px // 4
        no_logits = np.zeros((0, side, side), dtype=np.float32)
        answers = []
        for query in keyframe.queries:
            reply = replies.get(query) or _Reply("Nothing was asked.")
            answers.append(
                Answer(
                    stream_id=query.stream_id,
                    query_id=query.query_id,
                    revision=query.revision,
                    keyframe_index=keyframe.frame.index,
                    text=reply.text + self._remark(query, reply),
                    prompts=reply.prompts,
                    logits=no_logits if reply.logits is None else reply.logits,
                    ground_s=steps_s.look + steps_s.read + steps_s.draw,
                    steps_s=steps_s,
                    model=self._checkpoint.name,
                )
            )
        return answers

    def _remark(self, query: Query, reply: _Reply) -> str:
        """Return what the answer has to say about how its query was read."""
        refers = query.kind is QueryKind.REFER
        limit = MAX_PHRASE_TOKENS if refers else MAX_QUESTION_TOKENS
        texts = things_in(query.text) if refers else [_question_text(query)]
        if query.kind is not QueryKind.DESCRIBE:
            for text in texts:
                read = self._template.cut(text, limit)
                if read != " ".join(text.split()):
                    return f" Only the first {limit} tokens were read, up to “{read[-24:].strip()}”."
        if refers and len(texts) == len(reply.prompts) == 1 and may_name_several(query.text):
            return " One thing was looked for; ask for several in a query each."
        return ""

    # --- referring expressions: teacher-forced answers

    def _refer(self, job: _Job, texts: list[str], *, past: bool) -> list[_Reply]:
        with job.timer.measure(Step.ENCODE):
            prefix = job.features.prefix(past=past)
        with job.timer.measure(Step.PREFILL):
            questions = self._questions(texts)
            scored = self._score(prefix.prefill(self._teacher_forced(questions)), questions)
        with job.timer.measure(Step.ENCODE):
            feature_maps = job.features.feature_maps
        with job.timer.measure(Step.DECODE_MASKS):
            return list(self._replies(feature_maps, texts, *scored))

    def _can_batch(self, keyframe: Keyframe) -> bool:
        """Whether all queries refer to one thing in one tile, and fit in one prefill."""
        return (
            batching.is_single_tile(self._checkpoint, keyframe)
            and 0 < len(keyframe.queries) <= MAX_PACKED
            and all(
                query.kind is QueryKind.REFER
                and query.text.strip()
                and not is_about_change(query.text)
                and len(things_in(query.text)) == 1
                for query in keyframe.queries
            )
        )

    def _ground_batch(self, keyframes: list[Keyframe]) -> list[list[Answer]]:
        timer, replies = StepTimer(), []
        with timer.measure(Step.ENCODE):
            batch = batching.encode_keyframes(self._checkpoint, keyframes)
        texts = [[query.text for query in keyframe.queries] for keyframe in keyframes]
        questions = [self._questions(some) for some in texts]
        with timer.measure(Step.PREFILL):
            blocks = [self._teacher_forced(some) for some in questions]
            outputs = batching.prefill_batch(self._checkpoint, batch.image_tokens, blocks)
            scored = [self._score(*row) for row in zip(outputs, questions, strict=True)]
        with timer.measure(Step.DECODE_MASKS):
            for row, keyframe in enumerate(keyframes):
                found = self._replies(batch.feature_maps_of(row), texts[row], *scored[row])
                replies.append(dict(zip(keyframe.queries, found, strict=True)))
        steps_s = timer.per_keyframe(len(keyframes))
        return [self._answers(*row, steps_s) for row in zip(keyframes, replies, strict=True)]

    def _questions(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._template.segment_question(text) for text in texts]

    def _teacher_forced(self, questions: list[list[int]]) -> list[list[int]]:
        """Append the teacher-forced answer to each question."""
        return [[*question, *self._template.answer] for question in questions]

    def _score(self, output: PrefillOutput, questions: list[list[int]]) -> tuple[Tensor, Expressions]:
        """Return the presence scores (K,) of K questions on the CPU, and their expressions."""
        template = self._template
        blocks = zip(output.starts, questions, strict=True)
        answer_starts = torch.tensor([start + len(question) for start, question in blocks])
        offsets = torch.arange(template.seg_offset + 1)
        # A token is predicted from the hidden state of the token before it.
        log_probs = self._model.token_log_probs(output.hidden[0, answer_starts[:, None] + offsets - 1])
        answer = torch.tensor(template.answer)[offsets]
        presence = log_probs[:, offsets, answer].sum(dim=1).exp().cpu()
        begins, rows = torch.tensor(output.starts), torch.zeros(len(questions), dtype=torch.int64)
        segs = answer_starts + template.seg_offset
        return presence, self._model.expressions(output.hidden, rows, begins, segs)

    def _replies(
        self,
        feature_maps: tuple[Tensor, ...],
        texts: Sequence[str],
        presence: Tensor,
        expressions: Expressions,
    ) -> Iterator[_Reply]:
        logits = self._decode_masks(feature_maps, expressions, presence >= self._threshold)
        for index, phrase in enumerate(texts):
            mask = logits[index : index + 1]
            # An object with a high presence score and an empty mask counts as absent.
            if presence[index] < self._threshold or not (mask > 0).any():
                yield _Reply(f"I cannot see {' '.join(phrase.split())} in this image.")
            else:
                prompt = SegPrompt(phrase, _array(expressions.seg[index]), float(presence[index]))
                yield _Reply(ANSWER_TEXT, (prompt,), _array(mask))

    def _decode_masks(
        self, feature_maps: tuple[Tensor, ...], expressions: Expressions, wanted: Tensor
    ) -> Tensor:
        """Decode K objects on one image: (K, h, w) logits, -1 everywhere where not `wanted` (K,) bool."""
        side = self._checkpoint.sam_px // 4
        logits = torch.full((len(wanted), side, side), -1.0)
        if wanted.any():
            decoded = self._model.decode_masks(
                feature_maps, expressions.seg[None, wanted], expressions[wanted]
            )
            logits[wanted] = best_mask(*decoded)[0].float().cpu()
        return logits

    # --- questions and descriptions: generated answers

    def _generate(self, job: _Job, query: Query) -> _Reply:
        template, features = self._template, job.features
        describes = query.kind is QueryKind.DESCRIBE
        past = not describes and is_about_change(query.text)
        if query.region is not None and not self._checkpoint.takes_regions:
            return _Reply(NO_REGIONS)
        question = template.user_question(DESCRIBE if describes else _question_text(query))
        with job.timer.measure(Step.ENCODE):
            prefix = (
                features.prefix(past=past) if query.region is None else features.region_prefix(query.region)
            )
        with job.timer.measure(Step.PREFILL):
            generated = generate(
                self._model,
                prefix,
                question,
                template.eos_ids,
                lambda ids: job.on_partial(query, decode_text(template.tokenizer, ids)),
            )
        text = decode_text(template.tokenizer, generated.ids)
        places = [k for k, token in enumerate(generated.ids) if token == template.seg_id][:MAX_SEGS]
        if not places:
            return _Reply(text)
        segs = torch.tensor(places)
        # The expression of a `[SEG]` begins behind the `[SEG]` before it.
        begins = torch.tensor([0, *(place + 1 for place in places[:-1])])
        expressions = self._model.expressions(generated.hidden[None], torch.zeros_like(segs), begins, segs)
        with job.timer.measure(Step.ENCODE):
            feature_maps = features.feature_maps
        with job.timer.measure(Step.DECODE_MASKS):
            wanted = torch.ones(len(places), dtype=torch.bool)
            logits = self._decode_masks(feature_maps, expressions, wanted)
        objects = zip(phrases(text, query.text), expressions.seg, generated.probs[segs], strict=False)
        prompts = tuple(SegPrompt(phrase, _array(seg), float(prob)) for phrase, seg, prob in objects)
        return _Reply(text, prompts, _array(logits))


def _joined(replies: Sequence[_Reply]) -> _Reply:
    """Return one reply about all things of a query, which says which of them are not seen."""
    if len(replies) == 1:
        return replies[0]
    logits = [reply.logits for reply in replies if reply.logits is not None]
    if not logits:
        return _Reply(" ".join(reply.text for reply in replies))
    seen = f"Sure, {' and '.join(['[SEG]'] * len(logits))}."
    absent = [reply.text for reply in replies if reply.logits is None]
    prompts = tuple(prompt for reply in replies for prompt in reply.prompts)
    return _Reply(" ".join([seen, *absent]), prompts, np.concatenate(logits))


def _question_text(query: Query) -> str:
    return query.text if query.region is None else ask_about_region(query.text)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
