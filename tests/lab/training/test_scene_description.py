"""The seam between worlds and language: a description made by hand is enough to write texts about it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from lab.training import language
from lab.training.language.captions import generate_caption
from lab.training.language.expressions import generate_expressions
from lab.training.language.questions import generate_questions
from lab.training.scene_description import ObjectLabel, SceneDescription, Vocabulary

BICYCLE, DOG = ObjectLabel("bicycle", "green"), ObjectLabel("dog", "grey")


def described() -> SceneDescription:
    """A still image, 40 x 60 pixels: a bicycle on the left, a smaller dog on the right."""
    boxes = np.array([[[2, 5, 26, 29], [40, 20, 52, 32]]], dtype=np.float32)
    masks = np.zeros((1, 2, 40, 60), dtype=np.bool_)
    for index, (x0, y0, x1, y1) in enumerate(boxes[0].astype(int)):
        masks[0, index, y0:y1, x0:x1] = True
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    return SceneDescription(
        labels=(BICYCLE, DOG),
        masks=masks,
        amodal_area_px=masks.sum(axis=(2, 3)).astype(np.float32),
        occluded_px=np.zeros((1, 2, 2), dtype=np.float32),
        centres_px=centres,
        boxes_px=boxes,
        world_centres_px=centres,
        step_s=1.0,
        vocabulary=Vocabulary(
            categories=("bicycle", "dog", "car"),
            colours=("green", "grey", "red"),
            expression_kinds=("colour", "kind", "both", "place", "size", "plural", "negation", "ordinal"),
            templates_per_meaning=9,
            held_out=frozenset({ObjectLabel("dog", "green")}),
        ),
    )


def test_a_hand_made_description_gets_expressions_questions_and_a_caption() -> None:
    scene, rng = described(), np.random.default_rng(0)
    referents = {one.text: one.referents for one in generate_expressions(scene, 0, rng)}
    assert referents["the dog"] == (1,) and referents["the grey thing"] == (1,)
    assert () in referents.values()
    answers = {one.answer for _ in range(5) for one in generate_questions(scene, 0, rng)}
    assert {"yes", "no", "two", "green", "grey", "bicycle", "dog"} <= answers
    caption = generate_caption(scene, 0, rng)
    assert caption is not None and {phrase.referents for phrase in caption.phrases} == {(0,), (1,)}


def test_held_out_labels_are_not_named() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert not [one for one in generate_expressions(described(), 0, rng) if "green dog" in one.text]


def test_the_language_imports_nothing_of_a_world() -> None:
    assert language.__file__ is not None
    for path in Path(language.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("lab.training.world"), path.name
