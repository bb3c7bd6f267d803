"""The drawn world: moving things with names, exact masks, and as much variety as a level allows.

    parts.py       outlines and tones that things are made of       shapes.py, creatures.py, objects.py
    things.py      all kinds by name                                colours.py, textures.py, noise.py
    sprites.py     a thing drawn once                               grounds.py   what it is seen against
    strangers.py   things without a name                            bending.py   how soft a thing is
    motion.py      where it is at every moment                      camera.py    who looks, and spoils
    levels.py      the ladder from five shapes to everything        holdout.py   what training never sees
    casting.py     which things play                                composing.py how they look, stand and go
    stage.py       one moment painted, with the truth about it      scenes.py    `draw_clip`
    demo.py        the showcase of the bundled clip

Rules. A scene is a function of its seed and its level, and the seed says which set it belongs to. Everything
random but the sensor's noise is drawn before the first picture, so that a longer clip begins like a shorter
one. Lengths are picture heights until `stage` turns them into pixels. To widen the world: a kind is a
function that returns parts and a line in `things`; a ground is a painter and a line in `grounds`; a level is
a `replace` of the one below.
Drawing is a training's other half on a CPU: what is soft or noisy is worked out on few pixels and enlarged,
what a clip shows twice is drawn once and warped.
May import: numpy, cv2, itself.
"""
