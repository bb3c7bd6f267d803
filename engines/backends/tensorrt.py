"""TensorRT: exported graphs, built into engines for an NVIDIA GPU.

One builder for both TensorRTs, which share their interface: `tensorrt` where it is installed (data-centre
GPUs; it times its kernels on the GPU it builds for), else TensorRT-RTX (workstation GPUs; it builds without
a GPU and chooses kernels where it runs). Networks are strongly typed: precision is a property of the
exported file.

An engine takes 1 to `capacity` objects. It is kept under the file's digest, TensorRT's version and the GPU
with its driver: a new driver is a new engine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from engines.backends.artifact_cache import KeptFile, KeptFiles, key_of
from engines.backends.gpu import Gpu, find_gpu
from engines.backends.graph import Graph, Precision
from engines.backends.onnx_export import Exporter, names_of
from engines.backends.tensorrt_runner import TensorRtRunner
from streaming.errors import BackendUnavailable

log = logging.getLogger(__name__)

_FIRST_WITH_BFLOAT16: Final = (8, 0)
"Compute capability."


def load_tensorrt() -> ModuleType:
    """`tensorrt` where it is installed, else `tensorrt_rtx_bindings`; without both, BackendUnavailable."""
    try:
        import tensorrt
    except ImportError:
        try:
            import tensorrt_rtx_bindings as tensorrt
        except ImportError as exc:
            raise BackendUnavailable(
                "TensorRT is not installed.",
                remedy="Say pip install 'saccade[tensorrt]' (TensorRT-RTX, for workstation GPUs), "
                "or pip install tensorrt (for data-centre GPUs).",
            ) from exc
    return tensorrt  # type: ignore[no-any-return]


def usable_gpu() -> Gpu:
    """The GPU that engines run on. Raises BackendUnavailable where something is missing, and says what."""
    gpu = find_gpu()  # first: loading TensorRT takes longer
    trt = load_tensorrt()
    compute = "".join(map(str, gpu.capability))
    if _is_rtx(trt) and not hasattr(trt.ComputeCapability, f"SM{compute}"):
        raise BackendUnavailable(
            f"TensorRT-RTX {trt.__version__} does not run on {gpu.name} (sm_{compute}).",
            remedy="Install tensorrt, which does, or set backend to torch.",
        )
    return gpu


def fastest_precision() -> Precision:
    """What the GPU here multiplies in. Raises as `usable_gpu`."""
    return "bfloat16" if usable_gpu().capability >= _FIRST_WITH_BFLOAT16 else "float32"


@dataclass(frozen=True, slots=True)
class TensorRtBackend:
    """Builds engines, and runs them where there is a GPU."""

    precision: Precision = "bfloat16"
    "Of the products."
    capacity: int = 16
    "Most objects of one call."
    cache_dir: Path | None = None
    "Where exported graphs and engines are kept; None makes them anew each time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "tensorrt"

    @property
    def computes_in(self) -> Precision:
        """As the exported file says."""
        return self.precision

    @property
    def keeps_programs(self) -> bool:
        """In `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> TensorRtProgram:
        """Build (or read) a graph's engine. Raises BackendUnavailable where it cannot be built or run."""
        usable_gpu()
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, self.precision))

    def reopen(self, name: str, fingerprint: str) -> TensorRtProgram | None:
        """See `Backend`."""
        exported = Exporter(self.cache_dir).reopen(name, fingerprint, self.precision)
        if exported is None or self._engines.read(self._key(name, exported)) is None:
            return None
        usable_gpu()
        return self._load(name, exported)

    def build(self, graph: Graph) -> KeptFile:
        """The engine of a graph, for the GPU here or, with TensorRT-RTX, without one.

        Raises BackendUnavailable where TensorRT is missing or cannot build it.
        """
        return self._engine(graph.name, Exporter(self.cache_dir).export(graph, self.precision))

    def _engine(self, name: str, exported: KeptFile) -> KeptFile:
        key = self._key(name, exported)
        kept = self._engines.read(key)
        if kept is not None:
            return kept
        log.info("Building the engine of %s (%s) for %s ...", name, self.precision, _gpu_here())
        return self._engines.write(key, build_engine(exported.content, self.capacity))

    def _load(self, name: str, exported: KeptFile) -> TensorRtProgram:
        file, names = self._engine(name, exported), names_of(exported)
        try:
            return _program(name, file.content, names)
        except BackendUnavailable:
            if file.path is None:
                raise
            log.warning("%s cannot be loaded and is built anew.", file.path)
            file.path.unlink(missing_ok=True)
            return _program(name, self._engine(name, exported).content, names)

    def _key(self, name: str, exported: KeptFile) -> str:
        trt = load_tensorrt()
        made_for = f"{trt.__name__} {trt.__version__} {_gpu_here()}"
        return key_of(f"{name}-{self.precision}", exported.digest, made_for, str(self.capacity))

    @property
    def _engines(self) -> KeptFiles:
        return KeptFiles(self.cache_dir, ".engine")


def build_engine(content: bytes, capacity: int) -> bytes:
    """An engine of an exported file that takes 1 to `capacity` objects.

    Raises BackendUnavailable if it cannot be built; classic TensorRT wants the GPU that it is to run on.
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
        raise BackendUnavailable("TensorRT cannot build the exported graph.", remedy="It says why on stderr.")
    return bytes(engine)


@dataclass(frozen=True, slots=True, eq=False)
class TensorRtProgram:
    """An engine on the GPU; runners share its weights."""

    tensorrt: ModuleType
    engine: Any
    "Its binding keeps alive what it stands on."
    names: tuple[str, ...]
    "Of its inputs and outputs, in the graph's order."

    def runner(self) -> TensorRtRunner:
        """An execution context and buffers of its own."""
        return TensorRtRunner(self.tensorrt, self.engine, self.names)


def _program(name: str, content: bytes, names: tuple[str, ...]) -> TensorRtProgram:
    trt = load_tensorrt()
    runtime = trt.Runtime(_logger(trt))
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise BackendUnavailable(
            f"TensorRT cannot load the engine of {name}.", remedy="It says why on stderr."
        )
    return TensorRtProgram(trt, engine, names)


def _is_rtx(trt: ModuleType) -> bool:
    return trt.__name__ == "tensorrt_rtx_bindings"


def _gpu_here() -> str:
    try:
        return str(find_gpu())
    except BackendUnavailable:
        return "no GPU"


def _logger(trt: ModuleType) -> Any:
    """TensorRT's own, which writes errors to stderr.

    One in Python would be called from inside a build, and what is raised there (Ctrl-C) would end it all.
    """
    return trt.Logger(trt.Logger.ERROR)
