"""SAM-2 as a tracker of a live stream.

Theory of operation. `checkpoints.py` loads a SAM-2 (nano or a published one) into transformers' own
modules. `graphs.py` cuts it into three graphs of fixed shapes, `compiled.py` has a backend compile
them: once per process, shared by all streams. `tracker.py` steps one stream: it holds the rows
(`memory.py`), decides which mask of an answer belongs to whom (`association.py`, pure) and when a track
is lost or over (`lifecycle.py`, pure).

    weights = load_tracker_weights("nano")                                   # once per process
    compiled = compile_tracker(weights, choose_backend("auto", cache_dir=…))
    tracker = SamTracker(compiled, capacity=16)                              # one per stream
    tracks = tracker.step(frame, answers)

Rules: weights are shared, memory is not; TrackIds are never reused, rows are; every buffer has a
capacity; a number that is not finite costs one track its frame, never the stream.
May import: torch, transformers, numpy, `engines.backends`, `engines.masks`, `engines.geometry`,
`streaming.vocabulary`, `streaming.errors`.
"""
