"""Backends: compile and run graphs of torch modules.

A backend handles `graph.Graph`s, torch modules with named inputs of fixed shapes. It contains nothing about
SAM-2 or Sa2VA; both use it.

    graph.py             Graph, Port; Backend, Program, Runner
    choose.py            a name from the settings -> a backend
    torch_backend.py     eager float32, the reference of all parity checks
    onnx_export.py       graph -> ONNX file, by tracing.py; copied by bfloat16.py and int8.py
    onnx_runtime.py      runs the file unchanged: the reference among the runtimes
    openvino.py          the default on CPUs
    lazy_compilation.py  counts compilations in calls of runners
    tensorrt.py          NVIDIA GPUs; engines run by tensorrt_runner.py, with the CUDA calls in gpu.py
    parity_check.py      compares a backend's outputs with torch's
    artifact_cache.py    exported files and engines on disk

Rules: threads share a program's weights, a runner belongs to one thread. A vendor's runtime is imported in
its own file only. Every backend gives the same masks as torch with trained weights (a fused attention was
once right with random weights and wrong with trained ones).
May import: torch, numpy, the runtimes, `streaming.errors`.
"""
