"""Texts about a described scene: referring expressions, questions, grounded captions, with exact referents.

    lexicon.py               words, and templates of every meaning
    frame_facts.py           three-valued facts about a frame: visible, position, size, occlusion, motion
    noun_phrases.py          "red cup", and the objects that it denotes
    name_expressions.py      category, colour, several, negation
    place_expressions.py     size, place, ordinal
    relation_expressions.py  left of, above, behind, in front of
    motion_expressions.py    direction, stopped, fastest
    expressions.py           all kinds of expressions, balanced
    stable_expressions.py    expressions that stay true for a while, for live streams
    questions.py             count, colour, category, presence, comparison, motion
    captions.py              lists and relations, with <p> marks

Photographs, of which not everything is annotated (`scene_description.PhotoDescription`):
    real_names.py            categories of real things, nouns for them, and what each noun denotes
    photo_nouns.py           which nouns texts about a photograph may use
    photo_facts.py           facts with doubt wherever something may be there without a label
    photo_expressions.py     places, plurals and clothes, where they differ from drawn scenes

Input is a `lab.training.scene_description.SceneDescription` and the index of a frame; nothing here depends on
how the scene was made. Rules:
- A fact is True, False, or None where a careful person could doubt it; no text depends on a None.
- Absent objects are near misses first: a category and a colour that both occur, but not together.
- No text names a label of `Vocabulary.held_out`, except in the split that measures these labels.
- Random numbers are drawn in a fixed order: texts are functions of scene, frame and generator, and trained
  weights depend on them.
- Nothing is said of a photograph that an object without a label could make wrong; absent is only what is
  annotated wherever it occurs, and not seen by a detector either.
To widen the language: a noun is an entry in `real_names`; a template is a string in `lexicon.TEMPLATES`; a
kind of expression is a generator of candidates and an entry in `expressions.EXPRESSION_KINDS`.
May import: numpy, `lab.training.scene_description`, itself.
"""
