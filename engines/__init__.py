"""Pixels and words in, tracks out: the two models of the line, what runs them, how the small ones are made.

    protocols.py   the verbs the actors know: a grounder grounds, a tracker steps
    grounding/     Sa2VA: words and a keyframe -> prompts and masks, in one prefill
    tracking/      SAM-2: masks and frames -> tracks, with a memory of fixed size
    backends/      graphs with named ports, and who runs them: torch, OpenVINO, ONNX Runtime, TensorRT
    masks.py       logits -> run lengths          geometry.py   pictures -> model input
    svg.py         shapes of plots
    training/      the drawn world and the recipe that makes nano from nothing
    evaluation/    how good, how fast             nano/         the bundled weights and their card

Theory of operation. The language model looks now and then and says what is meant, by a mask on the keyframe.
The tracker looks always: each frame attends to memories of where the thing was. Weights are loaded once per
process and shared; all that remembers is a typed object of one stream.

Rules. No Ray, no network, no clock: what an engine says depends on what it was given. Foreign errors become
one of `streaming.errors` where weights and runtimes enter. May import: torch, transformers, numpy, cv2, a
runtime in its own file of `backends`, and of streaming only `vocabulary` and `errors`.
"""
