"""The two models of the pipeline, and the runtimes that run them: pixels and queries in, tracks out.

    protocols.py   the interfaces that actors use: `Tracker`, `Grounder`, `SharedGrounder`
    grounding/     Sa2VA: queries and a keyframe -> [SEG] embeddings and masks
    tracking/      SAM-2: frames and masks -> tracks, with a memory bank of fixed capacity
    backends/      graphs with named ports, and their runtimes: torch, OpenVINO, ONNX Runtime, TensorRT
    masks.py       mask logits -> run-length encoding, box, area
    geometry.py    image resizing
    nano/          the bundled weights and their model card

Theory of operation. The grounder runs on keyframes only: it turns a query into masks on a keyframe. The
tracker runs on every frame: each mask becomes a conditioning memory on the keyframe's features, and memory
attention propagates it. Weights are loaded once per process and shared; all state is a typed object of one
stream.

Rules. No Ray; no network but the download of a checkpoint named on the command line or in the settings
(`grounding/hub.py`); results depend on the arguments only, clocks are read for timings alone. Exceptions of
libraries are translated to `streaming.errors` where weights and runtimes are loaded. May import: torch,
transformers, numpy, cv2, each runtime in its own file of `backends`, and of `streaming` only `vocabulary` and
`errors`.
"""
