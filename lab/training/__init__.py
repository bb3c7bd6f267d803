"""How nano is trained, and larger checkpoints are tuned: a drawn world, its language, recipes and losses.

What is learnt from
    world/                  clips with exact masks, by levels of a curriculum; the demo's clip
    language/               unambiguous expressions, questions and captions about them
    scene_description.py    what the language reads of a scene, whatever made it
    task_mixture.py         a scene's tasks: expressions, questions, captions as tokens
    tracker_clips.py        batches of stage `tracker`, and the interface of their source
    batches.py              batches of stages `vision`, `grounding` and `decoder`
    tuning_batches.py       the same in the sizes of a published checkpoint
    prefetch.py             batches made ahead by worker processes

What is trained
    nano_config.py          nano's configurations, in the published layouts
    tokenizer.py            nano's vocabulary
    initial_weights.py      nano with random weights
    trainable_tracker.py    SAM-2 stepped through clips, with the EMA of its weights
    trainable_grounder.py   the grounder with its auxiliary heads
    losses.py               loss terms of the grounder
    structure_losses.py     region-phrase contrast and mask boundaries
    optimiser.py            Muon, and optimisers that step together
    schedules.py            learning-rate schedules

How it is trained
    stages.py               names of nano's stages
    nano_recipe.py          the four stages of nano within a time budget
    tracker_recipe.py       stage `tracker`
    grounding_recipe.py     stages `vision`, `grounding` and `decoder`
    tuning_recipe.py        tuning of a published Sa2VA checkpoint
    presence_threshold.py   calibration of the presence threshold
    ablation.py             stage `decoder` with and without the structure-aware terms
    trainer.py              the loop of every stage: steps, log, checkpoints, exports
    checkpoint.py           last.pt
    curriculum.py           levels, each opened by a held-out score
    device.py               the GPU where there is one
    curves.py               log.jsonl as a plot

Rules. A clip is a function of its seed; training never draws held-out seeds. Schedules are functions of the
share of the time budget that is spent. A checkpoint is written beside the old one and renamed over it.
Batches are made on the CPU and moved to the device of the model.
"""
