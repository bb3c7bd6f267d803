"""TensorRT: builds exported graphs into engines for NVIDIA GPUs.

Supports both packages, which share their interface: `tensorrt` where it is installed (data-centre GPUs;
selects kernels by timing them on the GPU), else TensorRT-RTX (workstation GPUs; builds without a GPU and
selects kernels at run time). Networks are strongly typed: precision is a property of the exported file.

An engine takes 1 to `capacity` objects. Its cache key is the file's digest, TensorRT's version, and the GPU
with its driver: a new driver needs a new engine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from engines.backends.artifact_cache import Artifact, ArtifactCache, artifact_key
from engines.backends.gpu import Gpu, find_gpu
from engines.backends.graph import Graph, Precision
from engines.backends.onnx_export import Exporter, tensor_names
from engines.backends.tensorrt_runner import TensorRtRunner
from streaming.errors import BackendUnavailable

log = logging.getLogger(__name__)

_FIRST_WITH_BFLOAT16: Final = (8, 0)
"Compute capability."


def load_tensorrt() -> ModuleType:
    """Import `tensorrt`, else `tensorrt_rtx_bindings`. Raises BackendUnavailable without both."""
    try:
        import tensorrt
    except ImportError:
        try:
            import tensorrt_rtx_bindings as tensorrt
        except ImportError as exc:
            raise BackendUnavailable(
                "TensorRT is not installed.",
                remedy="Run pip install 'saccade[tensorrt]' (TensorRT-RTX, for workstation GPUs), "
                "or pip install tensorrt (for data-centre GPUs).",
            ) from exc
    return tensorrt  # type: ignore[no-any-return]


def usable_gpu() -> Gpu:
    """Return the GPU that engines run on. Raises BackendUnavailable, which names what is missing."""
    gpu = find_gpu()  # before TensorRT, which takes longer to load
    trt = load_tensorrt()
    compute = "".join(map(str, gpu.capability))
    if _is_rtx(trt) and not hasattr(trt.ComputeCapability, f"SM{compute}"):
        raise BackendUnavailable(
            f"TensorRT-RTX {trt.__version__} does not support {gpu.name} (sm_{compute}).",
            remedy="Install tensorrt, which supports it, or set backend to torch.",
        )
    return gpu


def fastest_precision() -> Precision:
    """Return bfloat16 where the GPU supports it, else float32. Raises as `usable_gpu`."""
    return "bfloat16" if usable_gpu().capability >= _FIRST_WITH_BFLOAT16 else "float32"


@dataclass(frozen=True, slots=True)
class TensorRtBackend:
    """Builds engines, and runs them where there is a GPU."""

    precision: Precision = "bfloat16"
    "Of matrix products and convolutions."
    capacity: int = 16
    "Most objects of one call."
    cache_dir: Path | None = None
    "For exported graphs and engines; None stores nothing."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "tensorrt"

    @property
    def compute_precision(self) -> Precision:
        """The precision of the exported files."""
        return self.precision

    @property
    def caches_programs(self) -> bool:
        """Whether there is a `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> TensorRtProgram:
        """Load a graph's engine, built or from the cache. Raises BackendUnavailable where it cannot run."""
        usable_gpu()
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, self.precision))

    def reopen(self, name: str, fingerprint: str) -> TensorRtProgram | None:
        """See `Backend`."""
        exported = Exporter(self.cache_dir).reopen(name, fingerprint, self.precision)
        if exported is None or self._engines.read(self._key(name, exported)) is None:
            return None
        usable_gpu()
        return self._load(name, exported)

    def build(self, graph: Graph) -> Artifact:
        """Build a graph's engine or read it from the cache; TensorRT-RTX needs no GPU for it.

        Raises BackendUnavailable where TensorRT is missing or cannot build it.
        """
        return self._engine(graph.name, Exporter(self.cache_dir).export(graph, self.precision))

    def _engine(self, name: str, exported: Artifact) -> Artifact:
        key = self._key(name, exported)
        cached = self._engines.read(key)
        if cached is not None:
            return cached
        log.info("Building the engine of %s (%s) for %s ...", name, self.precision, _gpu_name())
        return self._engines.write(key, build_engine(exported.content, self.capacity))

    def _load(self, name: str, exported: Artifact) -> TensorRtProgram:
        file, names = self._engine(name, exported), tensor_names(exported)
        try:
            return _program(name, file.content, names)
        except BackendUnavailable:
            if file.path is None:
                raise
            log.warning("%s cannot be loaded and is built again.", file.path)
            file.path.unlink(missing_ok=True)
            return _program(name, self._engine(name, exported).content, names)

    def _key(self, name: str, exported: Artifact) -> str:
        trt = load_tensorrt()
        target = f"{trt.__name__} {trt.__version__} {_gpu_name()}"
        return artifact_key(f"{name}-{self.precision}", exported.digest, target, str(self.capacity))

    @property
    def _engines(self) -> ArtifactCache:
        return ArtifactCache(self.cache_dir, ".engine")


def build_engine(content: bytes, capacity: int) -> bytes:
    """Build an engine from an exported file, for 1 to `capacity` objects.

    Raises BackendUnavailable if that fails; `tensorrt` needs the GPU on which the engine will run.
    """
    trt = load_tensorrt()
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        raise BackendUnavailable(f"TensorRT cannot read the exported graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        port = network.get_input(index)
        one, most = (tuple(size if size >= 0 else rows for size in port.shape) for rows in (1, capacity))
        profile.set_shape(port.name, one, one, most)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BackendUnavailable(
            "TensorRT cannot build the exported graph.", remedy="The reason is on stderr."
        )
    return bytes(engine)


@dataclass(frozen=True, slots=True, eq=False)
class TensorRtProgram:
    """An engine on the GPU; runners share its weights."""

    tensorrt: ModuleType
    engine: Any
    "The engine; its binding holds what it needs."
    names: tuple[str, ...]
    "Of inputs and outputs, in the graph's order."

    def runner(self) -> TensorRtRunner:
        """Create a runner with its own execution contexts and buffers."""
        return TensorRtRunner(self.tensorrt, self.engine, self.names)


def _program(name: str, content: bytes, names: tuple[str, ...]) -> TensorRtProgram:
    trt = load_tensorrt()
    runtime = trt.Runtime(_logger(trt))
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise BackendUnavailable(
            f"TensorRT cannot load the engine of {name}.", remedy="The reason is on stderr."
        )
    return TensorRtProgram(trt, engine, names)


def _is_rtx(trt: ModuleType) -> bool:
    return trt.__name__ == "tensorrt_rtx_bindings"


def _gpu_name() -> str:
    try:
        return str(find_gpu())
    except BackendUnavailable:
        return "no GPU"


def _logger(trt: ModuleType) -> Any:
    """Return TensorRT's own logger, which writes errors to stderr.

    A Python logger would be called inside a build, where an exception (Ctrl-C) aborts the process.
    """
    return trt.Logger(trt.Logger.ERROR)
