"""Nano's words: one token each."""

from __future__ import annotations

from typing import Final

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from engines.grounding.templates import DESCRIBE, SPECIAL
from lab.training.language.lexicon import all_words
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS

SYNONYMS: Final = {
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
UNKNOWN: Final = "zzz"
"Not in the vocabulary: becomes <unk>."
_OTHER_WORDS: Final = (
    "please segment in this image the a an on of thing object one shape item left right top bottom upper "
    "side sure sorry i cannot see it user assistant find show me what is where describe how many are there "
    "and no yes"
)


def nano_tokenizer() -> Tokenizer:
    """One id per word; a word that is not known becomes <unk>, case does not matter."""
    words = [
        *all_words(CATEGORIES, COLOURS),
        *(w for group in SYNONYMS.values() for g in group for w in g.split()),
    ]
    framing = [*_OTHER_WORDS.split(), *DESCRIBE.lower().replace("?", "").replace(".", "").split()]
    ordered = dict.fromkeys(["<unk>", *SPECIAL, "\n", ".", ",", "?", "!", *framing, *words])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(ordered)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("\n", special=False, normalized=False)])
    return tokenizer


def synonym(word: str, rng: np.random.Generator) -> str:
    """Now and then another word for the same."""
    return str(rng.choice(SYNONYMS[word])) if word in SYNONYMS and rng.random() < 0.15 else word
