"""How well: words, tracks, answers and captions on held-out scenes, real films, and speed.

    metrics.py      J, F, J&F of masks               held_out.py    scenes as a grounder is shown them
    referring.py    words that point                 answering.py   questions
    describing.py   captions whose phrases point     phrases.py     what such a phrase names
    propagation.py  first masks carried on           returns.py     clips in which things hide and come back
    following.py    a tracker on drawn clips         footage.py     a tracker on real films
    report.py       all of it, on a level            boxes.py       a box's meaning on every backend
    bench.py        our tracker against its peers    bench_plot.py  a picture of that
    contestants.py  us in the bench                  peers.py       transformers' session, the package sam2
    bench_clip.py   what all follow there            stopwatch.py   parts of a frame
    peak.py         what a device can do at best     bench_grounder.py  the grounder's shortcuts, timed
    random_weights.py  published models, untrained

Rules. What is measured goes through the verb that the service uses; held-out seeds only. A scorer takes what
it is to measure as an iterable, so that whoever calls it can watch. To add a measurement: a scorer of its own
and a field of `report.LevelScore`.
"""
