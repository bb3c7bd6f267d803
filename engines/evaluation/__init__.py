"""How well: mask metrics, referring quality on held-out scenes, tracker speed.

    metrics.py    J, F, J&F of masks
    referring.py  a grounder asked about held-out drawn pictures
    following.py  a tracker on held-out drawn clips
    bench.py      our tracker against transformers' own session

Rules. What is measured goes through the verb that the service uses; held-out seeds only.
"""
