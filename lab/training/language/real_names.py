"""Names of real things: categories of photographs, the nouns that people say for them, and what each denotes.

Categories are COCO's 80 (VOC's 20 are among them) and garments, as annotations spell them, but for those in
`_RENAMED`, which the drawn world has under another name. A noun denotes some categories for certain and may
denote others ("jacket": a coat, perhaps): texts about a picture with one of the latter do not use it.
The order of categories and nouns is part of trained weights: append, do not insert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.training.language.lexicon import ONLY_PLURAL, PEOPLE, plural


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",")) if names else ()


_RENAMED: Final = {"airplane": "plane"}
_COCO: Final = _split(
    """person, bicycle, car, motorcycle, plane, bus, train, truck, boat, traffic light, fire hydrant,
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
    backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
    baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl,
    banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch,
    potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave,
    oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"""
)
ANIMALS: Final = _split("bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe")
GARMENTS: Final = _split(
    """blazer, blouse, boots, cape, cardigan, coat, dress, flats, gloves, hat, heels, hoodie, jacket, jeans,
    jumper, leggings, loafers, pants, pumps, romper, sandals, scarf, shirt, shoes, shorts, skirt, sneakers,
    socks, stockings, suit, sweater, sweatshirt, t-shirt, tights, top, vest"""
)
"Categories of clothes and shoes: what a person is `in`."
_ACCESSORIES: Final = ("bag", "purse", "belt", "sunglasses", "glasses", "hair", "wallet")
WORN: Final = frozenset((*GARMENTS, *_ACCESSORIES, "tie"))
"Categories that may be a part of a labelled person."
CLOTHES_OF_WOMEN: Final = frozenset(
    _split("dress, skirt, blouse, heels, pumps, stockings, tights, romper, leggings")
)
REAL_CATEGORIES: Final = (*_COCO, *GARMENTS, *_ACCESSORIES)


@dataclass(frozen=True, slots=True)
class Noun:
    """A word or words for objects of some categories."""

    certain: frozenset[str]
    "Every object of these categories may be called so."
    doubtful: frozenset[str] = frozenset()
    "Some objects of these categories may be called so."
    only_plural: bool = False
    'Whether it has no singular ("pants") or no plural ("hair").'
    may_be_absent: bool = True
    "False: things that it denotes are often not annotated, so that no text calls it absent."

    @property
    def categories(self) -> frozenset[str]:
        """Every category that it may denote."""
        return self.certain | self.doubtful


_OFTEN: Final = ("man", "woman", "man", "woman")
_WOMEN: Final = ("woman", "woman", "girl", "lady")

_SYNONYMS: Final = {
    "person": ", ".join(PEOPLE),
    "bicycle": "bicycle, bike",
    "car": "car, automobile, cab, taxi",
    "motorcycle": "motorcycle, motorbike",
    "plane": "plane, airplane, aircraft",
    "truck": "truck, lorry",
    "boat": "boat, ship",
    "traffic light": "traffic light, traffic signal",
    "fire hydrant": "fire hydrant, hydrant",
    "cat": "cat, kitten, kitty",
    "dog": "dog, puppy",
    "horse": "horse, pony",
    "sheep": "sheep, lamb",
    "cow": "cow, bull",
    "umbrella": "umbrella, parasol",
    "tie": "tie, necktie",
    "suitcase": "suitcase, luggage",
    "sports ball": "ball, sports ball",
    "baseball bat": "baseball bat, bat",
    "baseball glove": "baseball glove, mitt",
    "tennis racket": "tennis racket, racket",
    "wine glass": "wine glass, glass",
    "cup": "cup, mug",
    "donut": "donut, doughnut",
    "couch": "couch, sofa",
    "potted plant": "potted plant, plant",
    "dining table": "table, dining table",
    "tv": "tv, television, monitor, screen",
    "laptop": "laptop, computer",
    "mouse": "mouse, computer mouse",
    "remote": "remote, remote control",
    "cell phone": "phone, cell phone, mobile phone, smartphone",
    "oven": "oven, stove",
    "sink": "sink, basin",
    "refrigerator": "fridge, refrigerator",
    "teddy bear": "teddy bear, teddy, toy",
    "hair drier": "hair dryer, hair drier",
    "pants": "pants, trousers",
    "sunglasses": "sunglasses, shades",
    "jumper": "sweater",
    "stockings": "stockings, tights",
    "t-shirt": "t-shirt, tee",
}
"By category: nouns that denote it, the plainest first; without an entry, its own name."
_GROUPS: Final = {
    "animal": ", ".join(ANIMALS),
    "pet": "cat, dog",
    "vehicle": "car, bus, truck, motorcycle, train",
    "furniture": "chair, couch, bed, dining table",
    "fruit": "apple, banana, orange",
    "vegetable": "broccoli, carrot",
    "food": "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake",
    "bag": "bag, purse, backpack, handbag",
    "clothes": ", ".join(GARMENTS),
    "shoes": "shoes, heels, pumps, flats, sneakers, sandals, loafers, boots",
    "jacket": "jacket, blazer",
    "pants": "pants, jeans",
    "sweater": "sweater, jumper",
    "handbag": "handbag, purse",
    "tights": "tights, stockings",
    "top": "top, blouse, t-shirt",
    "screen": "tv, laptop",
}
"By noun: the categories of a group."
_DOUBTFUL: Final = {
    "animal": "teddy bear",
    "pet": "bird, teddy bear",
    "vehicle": "bicycle, boat, plane, skateboard",
    "furniture": "bench, toilet, refrigerator, tv, sink, oven, potted plant",
    "bag": "suitcase, wallet",
    "handbag": "bag, backpack, suitcase, wallet",
    "purse": "bag, handbag, wallet, backpack",
    "backpack": "bag, handbag, purse",
    "suitcase": "bag, handbag, backpack",
    "luggage": "bag, handbag, backpack",
    "wallet": "bag, purse, handbag",
    "bike": "motorcycle",
    "car": "truck",
    "truck": "car, bus",
    "bus": "truck, train",
    "train": "bus",
    "bear": "teddy bear",
    "teddy bear": "bear",
    "chair": "couch, bench",
    "seat": "couch, bench",
    "couch": "chair, bed, bench",
    "bench": "chair, couch",
    "cup": "wine glass, bowl",
    "glass": "cup, bottle, vase, glasses",
    "bowl": "cup",
    "vase": "bottle, potted plant, cup",
    "plant": "broccoli",
    "orange": "apple",
    "apple": "orange",
    "sandwich": "hot dog, pizza, cake",
    "tv": "laptop",
    "laptop": "tv, keyboard",
    "snowboard": "skis, surfboard, skateboard",
    "surfboard": "snowboard, skateboard",
    "skis": "snowboard",
    "jacket": "coat, cardigan, hoodie, sweatshirt, vest, cape, suit",
    "blazer": "jacket, coat, suit, cardigan",
    "coat": "jacket, blazer, cape, cardigan, suit",
    "cape": "coat, jacket, scarf",
    "cardigan": "sweater, jumper, jacket, blazer, coat, top",
    "sweater": "sweatshirt, cardigan, hoodie, top, t-shirt, shirt, blouse, vest",
    "sweatshirt": "sweater, jumper, hoodie, t-shirt, top, jacket",
    "hoodie": "sweatshirt, jacket, sweater",
    "shirt": "blouse, t-shirt, top, sweater, sweatshirt, jumper, vest",
    "blouse": "shirt, t-shirt, top, sweater, cardigan, jumper",
    "t-shirt": "top, shirt, blouse, sweater, sweatshirt",
    "top": "shirt, sweater, jumper, sweatshirt, vest, cardigan, dress",
    "vest": "jacket, cardigan, top, sweater, coat",
    "suit": "blazer, jacket, pants, coat",
    "dress": "romper, skirt, coat, blouse",
    "skirt": "dress, shorts, romper",
    "romper": "dress, shorts",
    "pants": "leggings, tights, stockings, shorts, suit, romper",
    "jeans": "pants, leggings, shorts",
    "shorts": "romper, skirt, pants, jeans",
    "leggings": "tights, stockings, pants, jeans",
    "tights": "leggings, socks, pants",
    "socks": "stockings, tights, boots",
    "glasses": "sunglasses",
    "sunglasses": "glasses",
    "boots": "shoes, heels",
    "heels": "shoes, pumps, sandals, boots",
    "pumps": "shoes, heels, flats",
    "flats": "shoes, pumps, loafers, sandals",
    "sneakers": "shoes",
    "sandals": "shoes, heels, flats",
    "loafers": "shoes, flats",
}
"By noun, synonyms sharing the entry of their category: categories that it may denote."
COLLECTIVE: Final = frozenset(("clothes", "luggage", "furniture", "food"))
"Nouns that are said of everything that they denote, not of one among several."
_NEVER_ABSENT: Final = _split(
    """table, plant, seat, toy, book, fruit, food, vegetable, furniture, clothes, screen, glass, top, suit,
    vest, wallet, belt, hair, cape"""
)


def _nouns_of(category: str) -> tuple[str, ...]:
    nouns = _split(_SYNONYMS.get(category, category))
    return ("person", *nouns) if category == "person" else nouns


def _make_nouns() -> dict[str, Noun]:
    certain: dict[str, set[str]] = {}
    doubtful: dict[str, set[str]] = {}
    for category in REAL_CATEGORIES:
        for noun in _nouns_of(category):
            certain.setdefault(noun, set()).add(category)
            doubtful.setdefault(noun, set()).update(_split(_DOUBTFUL.get(noun, _DOUBTFUL.get(category, ""))))
    for noun, members in _GROUPS.items():
        certain.setdefault(noun, set()).update(_split(members))
        doubtful.setdefault(noun, set()).update(_split(_DOUBTFUL.get(noun, "")))
    return {
        noun: Noun(
            frozenset(certain[noun]),
            frozenset(doubtful[noun] - certain[noun]),
            noun in ONLY_PLURAL,
            noun not in _NEVER_ABSENT,
        )
        for noun in certain
    }


NOUNS: Final = _make_nouns()
"By noun, every noun that texts about photographs use."
NOUNS_OF: Final = {category: _nouns_of(category) for category in REAL_CATEGORIES}
"By category, the plainest noun first."
GROUPS_OF: Final = {
    category: tuple(
        noun for noun in _GROUPS if category in NOUNS[noun].certain and noun not in NOUNS_OF[category]
    )
    for category in REAL_CATEGORIES
}
"By category: nouns of groups that it is in."


def canonical(annotated: str) -> str | None:
    """Return the category of an annotation's name; None where texts have no name for it."""
    name = _RENAMED.get(annotated, annotated)
    return name if name in NOUNS_OF else None


def people_nouns(worn: frozenset[str], alone: bool) -> tuple[str, ...]:
    """Return nouns for a person who wears these categories, beside `person`; the clothes say whether a woman.

    None for several people: who of them is a man is not annotated. What is said most is there several times.
    """
    if not alone:
        return ()
    return _WOMEN if worn & CLOTHES_OF_WOMEN else (*_OFTEN, *PEOPLE)


def real_words() -> tuple[str, ...]:
    """List the words of every noun and of its plural, each once, in a fixed order."""
    phrases = (words for noun in NOUNS for words in (noun, plural(noun)))
    return tuple(dict.fromkeys(part for words in phrases for word in words.split() for part in _parts(word)))


def _parts(word: str) -> tuple[str, ...]:
    """Split a word as the tokenizer does: `t-shirt` is three tokens."""
    return tuple(word.replace("-", " - ").split())
