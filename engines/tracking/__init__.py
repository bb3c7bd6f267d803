"""SAM-2 or EdgeTAM as a tracker of a live stream.

How it works. `checkpoints.py` loads a checkpoint into transformers' modules: `checkpoint_files.py` finds its
files, `families.py` its architecture, `weight_names.py` maps the official tensor names. `graph_set.py` cuts
the model into five graphs of fixed shapes (`graphs.py`), built from its parts (`image_encoder.py` with
`hiera.py` or `repvit.py`, `memory_attention.py`, `mask_decoder.py`, `memory_encoder.py`, `memory_tokens.py`).
`compilation.py` compiles them with a backend, once per process, or reopens what an earlier process compiled
in a tenth of the time; `calibration.py` has the inputs that int8 needs. `tracker.py` steps one stream: it
runs the graphs (`network.py`), keeps each object's memories in a batch row (`memory_bank.py`) by the rules of
a policy (`memory_policy.py`), matches the masks of an answer with tracks (`association.py`, pure), keeps
distinct objects' masks from overlapping (`non_overlapping.py`, pure) and decides when a track is lost or
ended (`lifecycle.py`, pure). `state.py` exports and restores all of that as bytes.

    compiled = open_tracker("nano", choose_backend("auto", cache_dir=...), ...)  # once per process
    tracker = SamTracker(compiled, capacity=16)                                  # once per stream
    tracks = tracker.step(frame, answers)

Rules: streams share weights, never memories. TrackIds are never reused, batch rows are. Every buffer has a
capacity. A non-finite value costs one track one frame, never the stream. What a stream needs at run time
(`compilation.py`, `tracker.py` and what they import) imports neither torch nor transformers, so that a
restarted worker tracks within two seconds.
May import: torch, transformers, safetensors, numpy, cv2, `engines.backends`, `engines.masks`,
`engines.geometry`, `streaming.vocabulary`, `streaming.errors`.
"""
