"""Words and a keyframe in, prompts and masks out: one look, many questions, no decoding.

The picture is encoded once. All questions about it stand behind it in one prefill, each with the answer
"Sure, [SEG]." already given. How probable the model holds that answer up to `[SEG]` is the presence;
where it is too improbable the answer is that there is no such thing. Else the hidden state at `[SEG]`
becomes the prompt that SAM-2's decoder draws, without memory, on the same picture.

A keyframe is shown as one frame of a video: the whole picture, resized, not tiled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.geometry import to_square
from engines.grounding.checkpoints import Sa2Va, load_sa2va
from engines.grounding.model import Look, best_mask, normalise
from engines.grounding.packing import pack
from engines.grounding.structure import Words
from streaming.vocabulary import Answer, Keyframe, Logits, Pixels, Prompt, Query, QueryKind

MAX_PACKED = 16
"Questions in one prefill; attention grows with their square, so more are asked in turns."
ANSWER_TEXT = "Sure, [SEG]."


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What one question came to."""

    presence: float
    embedding: NDArray[np.float32]
    logits: Logits


def load_grounder(name_or_dir: str | Path) -> SaGrounder:
    """The grounder of `nano` (bundled) or of a checkpoint folder. Raises NotFound, CheckpointError."""
    return SaGrounder(load_sa2va(name_or_dir))


class SaGrounder:
    """A `protocols.Grounder` over one Sa2VA checkpoint. Stateless between calls; one thread at a time."""

    def __init__(self, checkpoint: Sa2Va) -> None:
        self._model = checkpoint.model
        self._template = checkpoint.template
        self._threshold = checkpoint.presence_threshold
        self._look_px = checkpoint.look_px
        self._draw_px = checkpoint.draw_px

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """One answer for every query of the keyframe, in their order.

        `ground_s` is the whole keyframe's time: its queries were worked on together.
        """
        started_s = time.perf_counter()
        asked = [query for query in keyframe.queries if query.kind is QueryKind.REFER and query.text.strip()]
        found = dict(zip(asked, self._find(keyframe.frame.pixels, asked), strict=True)) if asked else {}
        took_s = time.perf_counter() - started_s
        return [self._answer(keyframe, query, found.get(query), took_s) for query in keyframe.queries]

    def _answer(self, keyframe: Keyframe, query: Query, found: _Found | None, took_s: float) -> Answer:
        text, prompts = _refusal(query), tuple[Prompt, ...]()
        logits = np.zeros((0, self._draw_px // 4, self._draw_px // 4), dtype=np.float32)
        # A thing that is there by the words but nowhere in the picture is not there.
        if found is not None and found.presence >= self._threshold and (found.logits > 0).any():
            text, prompts = ANSWER_TEXT, (Prompt(query.text, found.embedding, found.presence),)
            logits = found.logits[None]
        return Answer(
            stream_id=query.stream_id,
            query_id=query.query_id,
            revision=query.revision,
            keyframe_index=keyframe.frame.index,
            text=text,
            prompts=prompts,
            logits=logits,
            ground_s=took_s,
        )

    @torch.inference_mode()
    def _find(self, pixels: Pixels, queries: list[Query]) -> list[_Found]:
        look = self._model.look(_resized(pixels, self._look_px))
        read = [
            self._read(look, [query.text for query in queries[start : start + MAX_PACKED]])
            for start in range(0, len(queries), MAX_PACKED)
        ]
        presence = torch.cat([part[0] for part in read])
        words = Words.padded(
            [
                tokens[spoken]
                for _, said in read
                for tokens, spoken in zip(said.tokens, said.spoken, strict=True)
            ],
            torch.cat([said.sentence for _, said in read]),
        )
        prompts = words.sentence
        logits = self._draw(pixels, words, presence >= self._threshold)
        return [
            _Found(float(p), prompt.numpy(), mask)
            for p, prompt, mask in zip(presence, prompts, logits.numpy(), strict=True)
        ]

    def _read(self, look: Look, phrases: list[str]) -> tuple[Tensor, Words]:
        """Presence (K,) of what phrases about one look mean, and the words as they were understood."""
        template = self._template
        questions = [template.question(phrase) for phrase in phrases]
        packed = pack(template.prefix(), [[[*question, *template.answer] for question in questions]])
        reading = self._model.read(look.tokens, packed)
        hidden = reading.hidden[0]
        answers = zip(packed.starts[0], questions, strict=True)
        starts = torch.tensor([start + len(question) for start, question in answers])
        told = torch.arange(template.seg_offset + 1)
        # A token is predicted from the place before its own.
        chances = self._model.log_probabilities(hidden[starts[:, None] + told - 1])
        given = torch.tensor(template.answer)[told]
        presence = chances[:, told, given].sum(dim=1).exp()
        begins, rows = torch.tensor(packed.starts[0]), torch.zeros(len(phrases), dtype=torch.int64)
        return presence, self._model.words(reading.hidden, rows, begins, starts + template.seg_offset)

    def _draw(self, pixels: Pixels, words: Words, wanted: Tensor) -> Tensor:
        """(K, h, w) logits; those not wanted are not drawn and stay negative."""
        side = self._draw_px // 4
        logits = torch.full((len(wanted), side, side), -1.0)
        if wanted.any():
            maps = self._model.maps(_resized(pixels, self._draw_px))
            drawn = self._model.segment(maps, words.sentence[None, wanted], words[wanted])
            logits[wanted] = best_mask(*drawn)[0].float()
        return logits


def _resized(pixels: Pixels, side_px: int) -> Tensor:
    """(H, W, 3) → (1, 3, side, side) normalised."""
    return normalise(to_square(pixels, side_px)[None])


def _refusal(query: Query) -> str:
    text = " ".join(query.text.split())
    if not text:
        return "Nothing was asked."
    if query.kind is not QueryKind.REFER:
        return "I can point at things, but this model was not taught to answer in words."
    return f"I cannot see {text} in this image."
