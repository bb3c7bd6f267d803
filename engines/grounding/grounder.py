"""Words and a keyframe in, prompts and masks out: one look, many questions.

The picture is encoded once. All referring expressions about it stand behind it in one prefill, each with the
answer "Sure, [SEG]." already given. How probable the model holds that answer up to `[SEG]` is the presence;
where it is too improbable the answer is that there is no such thing. Else the hidden state at `[SEG]`
becomes the prompt that SAM-2's decoder draws, without memory, on the same picture. Questions and descriptions
are answered in words, one after the other, and whatever these point at is drawn likewise.

A keyframe is shown as one frame of a video: the whole picture, resized, not tiled; words about change are
asked about it and its past together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.grounding.checkpoints import PLAIN, Running, Sa2Va, load_sa2va
from engines.grounding.model import best_mask
from engines.grounding.sight import Sight, is_about_change
from engines.grounding.speech import phrases, speak, spelt
from engines.grounding.structure import Words
from engines.grounding.templates import DESCRIBE
from streaming.vocabulary import Answer, Keyframe, Logits, Prompt, Query, QueryKind

MAX_PACKED: Final = 16
"Questions in one prefill; attention grows with their square, so more are asked in turns."
ANSWER_TEXT: Final = "Sure, [SEG]."
MAX_POINTED: Final = 8
"Masks of one answer in words; a caption that points at more is not drawn further."


@dataclass(frozen=True, slots=True, eq=False)
class _Reply:
    """What one question came to: words, and N things they point at."""

    text: str
    prompts: tuple[Prompt, ...] = ()
    logits: Logits | None = None
    "(N, h, w); None where N is 0."


def load_grounder(name_or_dir: str | Path, running: Running = PLAIN) -> SaGrounder:
    """The grounder of `nano` (bundled) or of a checkpoint folder. Raises as `load_sa2va`."""
    return SaGrounder(load_sa2va(name_or_dir, running))


class SaGrounder:
    """A `protocols.Grounder` over one Sa2VA checkpoint. Stateless between calls; one thread at a time."""

    def __init__(self, checkpoint: Sa2Va) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._template = checkpoint.template
        self._threshold = checkpoint.presence_threshold

    @torch.inference_mode()
    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """One answer for every query of the keyframe, in their order.

        `ground_s` is the whole keyframe's time: its queries were worked on together.
        """
        started_s = time.perf_counter()
        sight = Sight(self._checkpoint, keyframe)
        replies: dict[Query, _Reply] = {}
        asked = [query for query in keyframe.queries if query.text.strip()]
        for past in (False, True):
            referring = [
                query
                for query in asked
                if query.kind is QueryKind.REFER and is_about_change(query.text) == past
            ]
            for start in range(0, len(referring), MAX_PACKED):
                some = referring[start : start + MAX_PACKED]
                replies |= zip(some, self._refer(sight, some, past=past), strict=True)
        replies |= {query: self._say(sight, query) for query in asked if query not in replies}
        took_s = time.perf_counter() - started_s
        return [self._answer(keyframe, query, replies.get(query), took_s) for query in keyframe.queries]

    @torch.inference_mode()
    def tell(self, keyframe: Keyframe, regions: Sequence[NDArray[np.bool_]], question: str) -> str:
        """Answer words about regions (H, W) of a keyframe, which they call region1, region2, … in order.

        Raises InvalidQuery where a region is empty, or the model was not taught regions.
        """
        prefix, template = Sight(self._checkpoint, keyframe).regions(regions), self._template
        speech = speak(self._model, prefix, template.asked(question), template.ends)
        return spelt(template.tokenizer, speech.ids)

    def _answer(self, keyframe: Keyframe, query: Query, reply: _Reply | None, took_s: float) -> Answer:
        reply = reply or _Reply("Nothing was asked.")
        side = self._checkpoint.draw_px // 4
        nothing = np.zeros((0, side, side), dtype=np.float32)
        return Answer(
            stream_id=query.stream_id,
            query_id=query.query_id,
            revision=query.revision,
            keyframe_index=keyframe.frame.index,
            text=reply.text,
            prompts=reply.prompts,
            logits=nothing if reply.logits is None else reply.logits,
            ground_s=took_s,
        )

    # --- referring expressions

    def _refer(self, sight: Sight, queries: list[Query], *, past: bool) -> Iterator[_Reply]:
        presence, words = self._read(sight, [query.text for query in queries], past=past)
        logits = self._draw(sight, words, presence >= self._threshold)
        for index, query in enumerate(queries):
            mask = logits[index : index + 1]
            # A thing that is there by the words but nowhere in the picture is not there.
            if presence[index] < self._threshold or not (mask > 0).any():
                yield _Reply(f"I cannot see {' '.join(query.text.split())} in this image.")
            else:
                prompt = Prompt(query.text, _array(words.sentence[index]), float(presence[index]))
                yield _Reply(ANSWER_TEXT, (prompt,), _array(mask))

    def _read(self, sight: Sight, texts: list[str], *, past: bool) -> tuple[Tensor, Words]:
        """Presence (K,) of what texts mean, and the words as they were understood."""
        template = self._template
        questions = [template.question(text) for text in texts]
        behind = sight.prefix(past=past).read([[*question, *template.answer] for question in questions])
        answers = zip(behind.starts, questions, strict=True)
        starts = torch.tensor([start + len(question) for start, question in answers])
        told = torch.arange(template.seg_offset + 1)
        # A token is predicted from the place before its own.
        chances = self._model.log_probabilities(behind.hidden[0, starts[:, None] + told - 1])
        given = torch.tensor(template.answer)[told]
        presence = chances[:, told, given].sum(dim=1).exp().cpu()
        begins, rows = torch.tensor(behind.starts), torch.zeros(len(texts), dtype=torch.int64)
        return presence, self._model.words(behind.hidden, rows, begins, starts + template.seg_offset)

    def _draw(self, sight: Sight, words: Words, wanted: Tensor) -> Tensor:
        """(K, h, w) logits; those not wanted are not drawn and stay negative."""
        side = self._checkpoint.draw_px // 4
        logits = torch.full((len(wanted), side, side), -1.0)
        if wanted.any():
            drawn = self._model.segment(sight.maps, words.sentence[None, wanted], words[wanted])
            logits[wanted] = best_mask(*drawn)[0].float().cpu()
        return logits

    # --- answers in words

    def _say(self, sight: Sight, query: Query) -> _Reply:
        template, describes = self._template, query.kind is QueryKind.DESCRIBE
        past = not describes and is_about_change(query.text)
        asked = template.asked(DESCRIBE if describes else query.text)
        speech = speak(self._model, sight.prefix(past=past), asked, template.ends)
        text = spelt(template.tokenizer, speech.ids)
        places = [k for k, token in enumerate(speech.ids) if token == template.seg_id][:MAX_POINTED]
        if not places:
            return _Reply(text)
        seg = torch.tensor(places)
        words = self._model.words(speech.hidden[None], torch.zeros_like(seg), *_spans(places))
        logits = self._draw(sight, words, torch.ones(len(places), dtype=torch.bool))
        named = zip(phrases(text, query.text), words.sentence, speech.chances[seg], strict=False)
        prompts = tuple(Prompt(phrase, _array(told), float(chance)) for phrase, told, chance in named)
        return _Reply(text, prompts, _array(logits))


def _spans(places: list[int]) -> tuple[Tensor, Tensor]:
    """From behind the `[SEG]` before, or the beginning, to each `[SEG]`: what was said of it."""
    return torch.tensor([0, *(place + 1 for place in places[:-1])]), torch.tensor(places)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
