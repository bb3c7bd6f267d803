"""Choose the nouns that texts about a photograph may use: of what is there, and of what is absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lab.training.language.frame_facts import random_name
from lab.training.language.real_names import GROUPS_OF, NOUNS_OF, people_nouns
from lab.training.scene_description import PhotoDescription

PLAIN_PROB: Final = 0.85
"Probability that the plainest noun of a category may be used ..."
SYNONYM_PROB: Final = 0.35
"... that one of its synonyms may ..."
ABSENT_PLAIN_PROB: Final = 0.65
"Probability that something absent is called by its plainest noun."
RENAME_PROB: Final = 0.3
"Of `rename_person`."
GROUP_PROB: Final = 0.3
"... and that the noun of a group may."


def choose_nouns(scene: PhotoDescription, absent: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """Choose nouns for every category in view, and one for each category of `absent` that is not in view.

    Who a person is, man, woman or child, is not annotated: the choice is by the clothes, or else at random,
    and with several people there is none.
    """
    in_view = [k for k, mask in enumerate(scene.masks[0]) if mask.any()]
    people = [k for k in in_view if scene.labels[k].category == "person"]
    there = list(dict.fromkeys(scene.labels[k].category for k in in_view))
    nouns: list[str] = []
    for category in there:
        synonyms = NOUNS_OF[category][1:]
        if category == "person":
            alone = len(people) == 1 and scene.instance[people[0]] and category not in scene.doubted
            synonyms = people_nouns(_worn_by(scene, people[0]), alone)
            nouns += [random_name(synonyms, rng)] if synonyms else []
        nouns += _nouns(NOUNS_OF[category][0], synonyms, GROUPS_OF[category], rng)
    for category in absent:
        others = (*NOUNS_OF[category][1:], *GROUPS_OF[category])
        plain = not others or rng.random() < ABSENT_PLAIN_PROB
        if category not in there:
            nouns.append(NOUNS_OF[category][0] if plain else random_name(others, rng))
    return tuple(dict.fromkeys(nouns))


def rename_person(text: str, scene: PhotoDescription, index: int, rng: np.random.Generator) -> str:
    """Replace "person" by "man", "woman" and the like now and then, where other words tell which is meant."""
    if scene.labels[index].category != "person" or " person" not in text or rng.random() > RENAME_PROB:
        return text
    return text.replace(" person", f" {random_name(people_nouns(_worn_by(scene, index), True), rng)}", 1)


def _worn_by(scene: PhotoDescription, person: int) -> frozenset[str]:
    return frozenset(scene.labels[k].category for k, wearer in enumerate(scene.wearers) if wearer == person)


def _nouns(plain: str, synonyms: Sequence[str], groups: Sequence[str], rng: np.random.Generator) -> list[str]:
    chosen = [plain] if rng.random() < PLAIN_PROB else []
    if synonyms and (not chosen or rng.random() < SYNONYM_PROB):
        chosen.append(random_name(tuple(synonyms), rng))
    if groups and rng.random() < GROUP_PROB:
        chosen.append(random_name(tuple(groups), rng))
    return chosen or [plain]
