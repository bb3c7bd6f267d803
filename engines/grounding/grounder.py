"""Words and a keyframe in, prompts and masks out: one look, many questions.

The picture is encoded once. All referring expressions about it stand behind it in one prefill, each with the
answer "Sure, [SEG]." already given. How probable the model holds that answer up to `[SEG]` is the presence;
where it is too improbable the answer is that there is no such thing. Else the hidden state at `[SEG]`
becomes the prompt that SAM-2's decoder draws, without memory, on the same picture. Questions and descriptions
are answered in words, one after the other, and whatever these point at is drawn likewise.

A keyframe is shown as one frame of a video: the whole picture, resized, not tiled; words about change are
asked about it and its past together. Keyframes of several streams whose queries all refer are looked at and
read in one batch, where the model can.
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
from engines.grounding.checkpoints import PLAIN, Running, Sa2Va, load_sa2va
from engines.grounding.generation import phrases, speak, spelt
from engines.grounding.keyframe_features import Sight, is_about_change
from engines.grounding.model import best_mask
from engines.grounding.prefix import Behind
from engines.grounding.structure import Words
from engines.grounding.templates import DESCRIBE
from engines.grounding.timings import Step, Steps
from engines.grounding.visual_prompts import about
from engines.protocols import Hear
from streaming.vocabulary import Answer, Frame, GroundSeconds, Keyframe, Logits, Prompt, Query, QueryKind

MAX_PACKED: Final = 16
"Questions in one prefill; attention grows with their square, so more are asked in turns."
ANSWER_TEXT: Final = "Sure, [SEG]."
NO_REGIONS: Final = "I was not taught to look where you point. Ask about the whole picture."
MAX_POINTED: Final = 8
"Masks of one answer in words; a caption that points at more is not drawn further."


@dataclass(frozen=True, slots=True, eq=False)
class _Reply:
    """What one question came to: words, and N things they point at."""

    text: str
    prompts: tuple[Prompt, ...] = ()
    logits: Logits | None = None
    "(N, h, w); None where N is 0."


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One keyframe that is being answered."""

    sight: Sight
    steps: Steps
    hear: Hear


def load_grounder(name_or_dir: str | Path, running: Running = PLAIN) -> SaGrounder:
    """The grounder of `nano` (bundled) or of a checkpoint folder. Raises as `load_sa2va`."""
    return SaGrounder(load_sa2va(name_or_dir, running))


def unheard(query: Query, text: str) -> None:
    """A `Hear` that does not listen."""
    del query, text


class SaGrounder:
    """A `protocols.SharedGrounder` over a Sa2VA checkpoint. Stateless between calls; one thread at a time."""

    def __init__(self, checkpoint: Sa2Va) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._template = checkpoint.template
        self._threshold = checkpoint.presence_threshold

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """One answer for every query of the keyframe, in their order.

        `ground_s` and `steps_s` are the whole keyframe's time: its queries were worked on together.
        """
        return self.say(keyframe, unheard)

    @torch.inference_mode()
    def say(self, keyframe: Keyframe, hear: Hear) -> list[Answer]:
        """The same, and tell `hear` the words of `ask` and `describe` as they come."""
        one = _Work(Sight(self._checkpoint, keyframe), Steps(), hear)
        replies: dict[Query, _Reply] = {}
        asked = _asked(keyframe)
        for past in (False, True):
            referring = [
                query
                for query in asked
                if query.kind is QueryKind.REFER and is_about_change(query.text) == past
            ]
            for start in range(0, len(referring), MAX_PACKED):
                some = referring[start : start + MAX_PACKED]
                replies |= zip(some, self._refer(one, some, past=past), strict=True)
        replies |= {query: self._say(one, query) for query in asked if query not in replies}
        return self._answers(keyframe, replies, one.steps.share())

    @torch.inference_mode()
    def ground_together(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        """What `ground` answers to each; those that can be are looked at and read in one batch."""
        joined = [keyframe for keyframe in keyframes if self._can_join(keyframe)]
        if len(joined) < 2:
            return [self.ground(keyframe) for keyframe in keyframes]
        found = dict(zip(map(id, joined), self._ground_joined(joined), strict=True))
        return [found.get(id(keyframe)) or self.ground(keyframe) for keyframe in keyframes]

    @torch.inference_mode()
    def tell(self, keyframe: Keyframe, regions: Sequence[NDArray[np.bool_]], question: str) -> str:
        """Answer words about regions (H, W) of a keyframe, which they call region1, region2, … in order.

        Raises InvalidQuery where a region is empty, or the model was not taught regions.
        """
        prefix, template = Sight(self._checkpoint, keyframe).regions(regions), self._template
        speech = speak(self._model, prefix, template.asked(question), template.ends)
        return spelt(template.tokenizer, speech.ids)

    @torch.inference_mode()
    def redraw(self, frame: Frame, prompts: Sequence[Prompt]) -> Logits:
        """What N ≥ 1 prompts of earlier answers mean, drawn on another frame without the language model.

        A `[SEG]` knows no frame (it was trained on five of a film at once), so this is a cheap look whether a
        tracker still follows what was meant. (N, h, w) logits as in an answer. Where there is a refinement it
        hears the sentence alone.
        """
        maps = Sight(self._checkpoint, Keyframe(frame, (), asked_s=0.0)).maps
        told = [torch.from_numpy(prompt.embedding).to(self._model.device) for prompt in prompts]
        words = Words.padded([one[None] for one in told], torch.stack(told))
        return _array(self._draw(maps, words, torch.ones(len(told), dtype=torch.bool)))

    # --- answers

    def _answers(
        self, keyframe: Keyframe, replies: Mapping[Query, _Reply], steps_s: GroundSeconds
    ) -> list[Answer]:
        side = self._checkpoint.draw_px // 4
        nothing = np.zeros((0, side, side), dtype=np.float32)
        answers = []
        for query in keyframe.queries:
            reply = replies.get(query) or _Reply("Nothing was asked.")
            answers.append(
                Answer(
                    stream_id=query.stream_id,
                    query_id=query.query_id,
                    revision=query.revision,
                    keyframe_index=keyframe.frame.index,
                    text=reply.text,
                    prompts=reply.prompts,
                    logits=nothing if reply.logits is None else reply.logits,
                    ground_s=steps_s.look + steps_s.read + steps_s.draw,
                    steps_s=steps_s,
                    model=self._checkpoint.name,
                )
            )
        return answers

    # --- referring expressions

    def _refer(self, one: _Work, queries: list[Query], *, past: bool) -> list[_Reply]:
        with one.steps.during(Step.LOOK):
            prefix = one.sight.prefix(past=past)
        with one.steps.during(Step.READ):
            questions = self._questions(queries)
            said = self._understood(prefix.read(self._given(questions)), questions)
        with one.steps.during(Step.LOOK):
            maps = one.sight.maps
        with one.steps.during(Step.DRAW):
            return list(self._replies(maps, queries, *said))

    def _can_join(self, keyframe: Keyframe) -> bool:
        """Whether all is asked about one square, in one prefill."""
        return (
            batching.is_one_square(self._checkpoint, keyframe)
            and 0 < len(keyframe.queries) <= MAX_PACKED
            and all(
                query.kind is QueryKind.REFER and query.text.strip() and not is_about_change(query.text)
                for query in keyframe.queries
            )
        )

    def _ground_joined(self, keyframes: list[Keyframe]) -> list[list[Answer]]:
        steps, replies = Steps(), []
        with steps.during(Step.LOOK):
            seen = batching.look(self._checkpoint, keyframes)
        questions = [self._questions(keyframe.queries) for keyframe in keyframes]
        with steps.during(Step.READ):
            read = batching.read(self._checkpoint, seen.tokens, [self._given(some) for some in questions])
            said = [self._understood(*one) for one in zip(read, questions, strict=True)]
        with steps.during(Step.DRAW):
            for row, keyframe in enumerate(keyframes):
                drawn = self._replies(seen.maps_of(row), keyframe.queries, *said[row])
                replies.append(dict(zip(keyframe.queries, drawn, strict=True)))
        share = steps.share(len(keyframes))
        return [self._answers(*one, share) for one in zip(keyframes, replies, strict=True)]

    def _questions(self, queries: Sequence[Query]) -> list[list[int]]:
        return [self._template.question(query.text) for query in queries]

    def _given(self, questions: list[list[int]]) -> list[list[int]]:
        """Each with its answer behind it."""
        return [[*question, *self._template.answer] for question in questions]

    def _understood(self, behind: Behind, questions: list[list[int]]) -> tuple[Tensor, Words]:
        """Presence (K,) of what K questions mean, and the words as they were understood."""
        template = self._template
        answers = zip(behind.starts, questions, strict=True)
        starts = torch.tensor([start + len(question) for start, question in answers])
        told = torch.arange(template.seg_offset + 1)
        # A token is predicted from the place before its own.
        chances = self._model.log_probabilities(behind.hidden[0, starts[:, None] + told - 1])
        given = torch.tensor(template.answer)[told]
        presence = chances[:, told, given].sum(dim=1).exp().cpu()
        begins, rows = torch.tensor(behind.starts), torch.zeros(len(questions), dtype=torch.int64)
        return presence, self._model.words(behind.hidden, rows, begins, starts + template.seg_offset)

    def _replies(
        self, maps: tuple[Tensor, ...], queries: Sequence[Query], presence: Tensor, words: Words
    ) -> Iterator[_Reply]:
        logits = self._draw(maps, words, presence >= self._threshold)
        for index, query in enumerate(queries):
            mask = logits[index : index + 1]
            # A thing that is there by the words but nowhere in the picture is not there.
            if presence[index] < self._threshold or not (mask > 0).any():
                yield _Reply(f"I cannot see {' '.join(query.text.split())} in this image.")
            else:
                prompt = Prompt(query.text, _array(words.sentence[index]), float(presence[index]))
                yield _Reply(ANSWER_TEXT, (prompt,), _array(mask))

    def _draw(self, maps: tuple[Tensor, ...], words: Words, wanted: Tensor) -> Tensor:
        """(K, h, w) logits on one picture's maps; those not wanted are not drawn and stay negative."""
        side = self._checkpoint.draw_px // 4
        logits = torch.full((len(wanted), side, side), -1.0)
        if wanted.any():
            drawn = self._model.segment(maps, words.sentence[None, wanted], words[wanted])
            logits[wanted] = best_mask(*drawn)[0].float().cpu()
        return logits

    # --- answers in words

    def _say(self, one: _Work, query: Query) -> _Reply:
        template, describes = self._template, query.kind is QueryKind.DESCRIBE
        past = not describes and is_about_change(query.text)
        if query.region is not None and not self._checkpoint.takes_regions:
            return _Reply(NO_REGIONS)
        asked = template.asked(DESCRIBE if describes else _put(query))
        with one.steps.during(Step.LOOK):
            prefix = one.sight.prefix(past=past) if query.region is None else one.sight.pointed(query.region)
        with one.steps.during(Step.READ):
            speech = speak(
                self._model,
                prefix,
                asked,
                template.ends,
                lambda ids: one.hear(query, spelt(template.tokenizer, ids)),
            )
        text = spelt(template.tokenizer, speech.ids)
        places = [k for k, token in enumerate(speech.ids) if token == template.seg_id][:MAX_POINTED]
        if not places:
            return _Reply(text)
        seg = torch.tensor(places)
        words = self._model.words(speech.hidden[None], torch.zeros_like(seg), *_spans(places))
        with one.steps.during(Step.LOOK):
            maps = one.sight.maps
        with one.steps.during(Step.DRAW):
            logits = self._draw(maps, words, torch.ones(len(places), dtype=torch.bool))
        named = zip(phrases(text, query.text), words.sentence, speech.chances[seg], strict=False)
        prompts = tuple(Prompt(phrase, _array(told), float(chance)) for phrase, told, chance in named)
        return _Reply(text, prompts, _array(logits))


def _put(query: Query) -> str:
    return query.text if query.region is None else about(query.text)


def _asked(keyframe: Keyframe) -> list[Query]:
    return [query for query in keyframe.queries if query.text.strip()]


def _spans(places: list[int]) -> tuple[Tensor, Tensor]:
    """From behind the `[SEG]` before, or the beginning, to each `[SEG]`: what was said of it."""
    return torch.tensor([0, *(place + 1 for place in places[:-1])]), torch.tensor(places)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
