"""How nano is made, and larger ones tuned: a world drawn from seeds, and the recipes that learn it.

    world/               clips with exact masks, on a ladder of levels; the demo
    language/            unambiguous words about them: expressions, questions, captions
    nano.py              nano's shapes, in the published layouts
    tokenizer.py         nano's words
    mixture.py           what is asked and told about a scene: expressions, questions, captions, varied
    batches.py           scenes and their tasks as tensors with every label
    feeding.py           batches drawn ahead by processes of their own
    first_weights.py     weights to start from in narrow layers
    pupil.py             the grounder before its first lesson, and the heads that only training has
    losses.py            see, look, point, speak, draw
    structure_losses.py  regions near to their words, sharp outlines
    grounding_recipe.py  stages `vision`, `grounding` and `decoder`: Sa2VA from scratch
    clips.py             batches of clips with the truth about some of their objects
    tracker_recipe.py    stage `tracker`: SAM-2 with its memory from scratch
    calibration.py       when a thing is there
    recipe.py            all stages in order, within a budget of time
    ablation.py          stage `decoder` with and without the structure-aware terms
    tuning_batches.py    the mixture as large as a published checkpoint wants to see it
    tuning_recipe.py     any Sa2VA tuned as in the papers, SAM-2 frozen but for its mask decoder

    course.py            what the stages share: steps until the time is spent; told, logged, saved, exported
    checkpoint.py        last.pt: what learns, what teaches it, how far they are
    follower.py          who learns in stage `tracker`
    ladder.py            a level is left for the next when it is mastered
    plot.py              log.jsonl as a picture: losses, held-out scores, levels
    average.py           the running mean of the weights
    optimiser.py         Muon and AdamW, stepping together
    device.py            the GPU where there is one

Rules. A clip is a function of its seed; training seeds are never held-out seeds. Time is the schedule. A
checkpoint is written beside the old one and renamed over it. A batch is drawn on the CPU and moved to where
the model is.
May import: the rest of `engines`, `streaming.vocabulary`, `streaming.errors`, torch, transformers.
"""
