"""How well: words, tracks, answers and captions on held-out scenes, real films, and speed.

    metrics.py      J, F, J&F of masks               held_out.py    scenes as a grounder is shown them
    referring.py    words that point                 answering.py   questions
    describing.py   captions whose phrases point     phrases.py     what such a phrase names
    propagation.py  first masks carried on           returns.py     clips in which things hide and come back
    following.py    a tracker on drawn clips         footage.py     a tracker on real films
    report.py       all of it, on a level            bench.py       our tracker against transformers' own

Rules. What is measured goes through the verb that the service uses; held-out seeds only. A scorer takes what
it is to measure as an iterable, so that whoever calls it can watch. To add a measurement: a scorer of its own
and a field of `report.LevelScore`.
"""
