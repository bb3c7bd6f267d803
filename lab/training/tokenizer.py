"""Nano's tokenizer: a token per word, first of texts about drawn scenes, then of those about photographs."""

from __future__ import annotations

from typing import Final

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from engines.grounding.templates import DESCRIBE, SPECIAL
from lab.training.language.lexicon import REAL_TEMPLATES, all_words, template_words
from lab.training.language.real_names import real_words
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.named_colours import REAL_COLOURS

SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "circle": ("ball", "disc", "dot"),
    "square": ("rectangle",),
    "triangle": ("pyramid",),
    "ring": ("hoop", "donut"),
    "cup": ("mug",),
    "person": ("man", "figure", "human"),
    "dog": ("puppy",),
    "cat": ("kitten",),
    "boat": ("ship",),
    "plane": ("airplane", "aircraft"),
    "house": ("home", "building"),
    "box": ("carton",),
    "lamp": ("light",),
    "purple": ("violet", "magenta"),
    "thing": ("item",),
    "top": ("upper side",),
}
"By word of the lexicon: words that stand for it in some expressions."
UNKNOWN: Final = "zzz"
"A word outside of the vocabulary: its token is <unk>."
_TEMPLATE_WORDS: Final = (
    "please segment in this image the a an on of thing object one shape item left right top bottom upper "
    "side sure sorry i cannot see it user assistant find show me what is where describe how many are there "
    "and no yes"
)


def nano_tokenizer() -> Tokenizer:
    """Make a word-level tokenizer without case; words outside of the vocabulary are <unk>."""
    words = [
        *all_words(CATEGORIES, COLOURS),
        *(word for synonyms in SYNONYMS.values() for synonym in synonyms for word in synonym.split()),
    ]
    templates = [*_TEMPLATE_WORDS.split(), *DESCRIBE.lower().replace("?", "").replace(".", "").split()]
    # Trained weights number the tokens: what photographs need comes last.
    words += [*REAL_COLOURS, *real_words(), *template_words(REAL_TEMPLATES)]
    ordered = dict.fromkeys(["<unk>", *SPECIAL, "\n", ".", ",", "?", "!", *templates, *words])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(ordered)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("\n", special=False, normalized=False)])
    return tokenizer


def maybe_synonym(word: str, rng: np.random.Generator) -> str:
    """Return a synonym with a probability of 0.15 where the word has one, else the word."""
    return str(rng.choice(SYNONYMS[word])) if word in SYNONYMS and rng.random() < 0.15 else word
