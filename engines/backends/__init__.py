"""Ways to run a graph.

A backend knows graphs (`graph.py`): torch modules with named inputs of fixed shapes. It does not know
SAM-2 or Sa2VA, so both stand on it.

    graph.py           Graph, Port; Backend, Program, Runner
    torch_backend.py   eager float32: the reference
    openvino.py        OpenVINO on the CPU: the default without a GPU
    choose.py          a name from the settings -> a backend

Rules: a program's weights are shared by threads, a runner belongs to one. A vendor's runtime is
imported in its own file only. Every backend gives the same masks as torch with *trained* weights (a
fused attention was once right with random ones and wrong with trained ones).
May import: torch, numpy, `streaming.errors`.
"""
