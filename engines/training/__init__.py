"""How nano is made: a world drawn from seeds, and the recipes that learn it.

    world/               clips with exact masks, on a ladder of levels; the demo
    language/            unambiguous words about them: expressions, questions, captions
    clips.py             batches for the tracker
    mixture.py           batches of questions: words varied, packed behind their picture, labels
    losses.py            see, look, point, speak, draw
    grounding_recipe.py  stages `grounding` and `decoder`: Sa2VA from scratch
    tracker_recipe.py    stage `tracker`: SAM-2 with its memory from scratch
    calibration.py       when a thing is there
    recipe.py            all stages in order, within a budget of time

Rules. A clip is a function of its seed; training seeds are never held-out seeds, and a resumed run draws new
ones. Time is the schedule. A checkpoint is written beside the old one and renamed over it.
May import: the rest of `engines`, `streaming.vocabulary`, `streaming.errors`, torch, transformers.
"""
