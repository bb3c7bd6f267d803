"""The drawn world: a generator of synthetic clips of labelled objects, with exact masks, boxes and occlusion.

    catalogue.py             all categories                 parts.py       outlines and tones
    shapes.py, creatures.py, made_objects.py                how each category is drawn
    colours.py, textures.py, noise.py                       surfaces
    sprites.py               an object drawn once           backgrounds.py
    unlabelled_objects.py    random objects for trackers    deformation.py
    motion.py                poses over time                camera.py      camera motion and degradation
    levels.py                curriculum levels              holdout.py     splits, held-out labels
    label_sampling.py        which objects a scene has      composition.py a random scene
    rendering.py             one frame, with masks          scenes.py      `draw_clip`
    demo_scene.py            the drawn clip of the demo
Photographs beside it:
    photographs.py           labelled photographs          cutouts.py     sprites of their objects
    photo_scenes.py          moving scenes of them         photo_views.py crops, described for language
    photo_samples.py         random views for training     photo_pasting.py cut-outs in views
    named_colours.py         colours of their objects

Rules.
- A clip is a function of its seed and its level; the seed also decides the split.
- All random numbers but the sensor noise are drawn before the first frame, so that a longer clip begins like
  a shorter one. Trained weights depend on the order in which they are drawn.
- Lengths are image heights until `rendering` converts them to pixels.
- `scenes.Clip` is a `lab.training.scene_description.SceneDescription` with frames; texts are made from it.
- Drawing is half of the cost of training on a CPU: smooth and noisy textures are computed at low resolution
  and enlarged, and an object is drawn once per clip and warped.
To widen the world: a category is a function that returns parts and an entry in `catalogue.DRAWINGS`; a
background is a painter and an entry in `backgrounds.BACKGROUNDS`; a level is a `replace` of the one before.
May import: numpy, cv2, `lab.training.scene_description`, itself; views of photographs also
`lab.training.language`, whose nouns their labels are.
"""
