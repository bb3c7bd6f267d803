"""SAM-2, or EdgeTAM, as a tracker of a live stream.

Theory of operation. `checkpoints.py` loads a SAM-2 (nano or a published one) or an EdgeTAM into
transformers' own modules: it finds the files (`files.py`), knows which model they hold (`families.py`) and
what their tensors are called (`naming.py`). `graphs.py` cuts it into graphs of fixed shapes (`graph_set.py`)
out of its parts (`pyramid.py`, `hiera.py`, `repvit.py`, `attention.py`, `decoder.py`, `memory_encoder.py`,
`memory_form.py`), `compiled.py` has a backend compile them: once per process, shared by all streams.
`kept.py` opens what an earlier process compiled, in a tenth of the time. `tracker.py` steps one stream: it
runs the graphs (`network.py`), holds the rows (`memory.py`) by rules that are the product's or SAM-2's own
(`policy.py`), decides which mask of an answer belongs to whom (`association.py`, pure) and when a track is
lost or over (`lifecycle.py`, pure). What it knows can be exported and restored whole (`state.py`).

    compiled = open_tracker("nano", choose_backend("auto", cache_dir=…), …)  # once per process
    tracker = SamTracker(compiled, capacity=16)                              # one per stream
    tracks = tracker.step(frame, answers)

Rules: weights are shared, memory is not; TrackIds are never reused, rows are; every buffer has a
capacity; a number that is not finite costs one track its frame, never the stream.
What a stream needs at run time (`kept.py`, `tracker.py` and what they import) imports neither torch nor
transformers: a worker must be back within two seconds.
May import: torch, transformers, safetensors, numpy, `engines.backends`, `engines.masks`, `engines.geometry`,
`streaming.vocabulary`, `streaming.errors`.
"""
