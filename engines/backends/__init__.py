"""Ways to run a graph.

A backend knows graphs (`graph.py`): torch modules with named inputs of fixed shapes. It does not know
SAM-2 or Sa2VA, so both stand on it.

    graph.py            Graph, Port; Backend, Program, Runner
    choose.py           a name from the settings -> a backend
    torch_backend.py    eager float32: what all others are compared with
    export.py           graph -> ONNX file; made by tracing.py, and by bfloat16.py (a typed copy)
    onnx_runtime.py     the file as it is: the reference among the runtimes
    openvino.py         the CPU's default
    tensorrt.py         NVIDIA GPUs; run by tensorrt_runner.py, on the few calls of CUDA in gpu.py
    checking.py         whether one gives what torch gives
    kept_files.py       what takes long to make, on disk

Rules: a program's weights are shared by threads, a runner belongs to one. A vendor's runtime is
imported in its own file only. Every backend gives the same masks as torch with *trained* weights (a
fused attention was once right with random ones and wrong with trained ones).
May import: torch, numpy, the runtimes, `streaming.errors`.
"""
