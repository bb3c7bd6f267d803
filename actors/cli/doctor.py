"""`saccade doctor`: check what the service needs on this machine, and say how to install what is missing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from actors.redis_server import find_program
from engines.backends.choose import resolve_backend
from engines.backends.tensorrt import load_tensorrt, usable_gpu
from engines.tracking.checkpoint_files import checkpoint_files
from streaming.errors import BackendUnavailable, SaccadeError
from streaming.results.connection import Connection, resolve_redis_url
from streaming.settings import Settings
from streaming.webrtc.ice import IceCandidates, resolve_addresses

NANO = Path(__file__).parents[2] / "engines" / "nano"

PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "ray", "av", "aiortc", "redis", "fastapi")


class Verdict(StrEnum):
    """Result of a check. The service runs unless a check is `broken`."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One check, its verdict, what was found, and what to do if it is not ok."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Check]:
    """Run all checks. Starts no process and writes no file."""
    checks: Sequence[Callable[[], Check]] = (
        _python,
        *(lambda name=name: _package(name) for name in PACKAGES),
        _processor,
        _gpu,
        _tensorrt,
        lambda: _backend(settings),
        lambda: _redis(settings),
        lambda: _checkpoint(settings),
        lambda: _tracker(settings),
        lambda: _port(settings),
        lambda: _webrtc(settings),
        lambda: _state(settings),
    )
    return [check() for check in checks]


def is_healthy(checks: Sequence[Check]) -> bool:
    """Return whether the service can run: no check is `broken`."""
    return all(check.verdict is not Verdict.BROKEN for check in checks)


def _python() -> Check:
    return Check("python", Verdict.OK, f"{platform.python_version()} at {sys.executable}")


def _package(name: str) -> Check:
    try:
        return Check(name, Verdict.OK, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, Verdict.BROKEN, "not installed", "Run `make test` or `pip install -e .` again.")


def _processor() -> Check:
    cores = len(os.sched_getaffinity(0))
    features = _cpu_flags() & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    found = f"{cores} cores, {platform.machine()}, {' '.join(sorted(features)) or 'no wide vectors'}"
    if cores >= 2:
        return Check("processor", Verdict.OK, found)
    return Check(
        "processor",
        Verdict.MISSING,
        found,
        "Live tracking needs two cores: one for the tracker, one for the grounder.",
    )


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(line.partition(":")[2].split())


def _gpu() -> Check:
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if devices:
        return Check("gpu", Verdict.OK, ", ".join(device.name for device in devices))
    return Check("gpu", Verdict.MISSING, "no NVIDIA GPU", "nano needs none; larger checkpoints do.")


def _tensorrt() -> Check:
    try:
        gpu = usable_gpu()
    except BackendUnavailable as exc:
        return Check("tensorrt", Verdict.MISSING, exc.message, exc.remedy)
    return Check("tensorrt", Verdict.OK, f"{load_tensorrt().__version__} on {gpu.name}")


def _backend(settings: Settings) -> Check:
    try:
        return Check("backend", Verdict.OK, f"{settings.backend}: {resolve_backend(settings.backend)}")
    except BackendUnavailable as exc:
        return Check("backend", Verdict.BROKEN, exc.message, exc.remedy)


def _redis(settings: Settings) -> Check:
    if settings.redis_url is not None:
        try:
            with closing(Connection(resolve_redis_url(settings.redis_url, settings.redis_password))) as redis:
                redis.check_writable()
        except SaccadeError as exc:
            return Check("redis", Verdict.BROKEN, exc.message, exc.remedy)
        return Check("redis", Verdict.OK, "redis_url answers and takes writes")
    try:
        return Check("redis", Verdict.OK, f"own server: {find_program()}")
    except SaccadeError as exc:
        return Check("redis", Verdict.BROKEN, exc.message, exc.remedy)


def _checkpoint(settings: Settings) -> Check:
    if settings.model == "nano":
        weights = sorted(NANO.rglob("*.safetensors"))
        size = sum(file.stat().st_size for file in weights)
        if weights:
            return Check("checkpoint", Verdict.OK, f"nano, {size / 1e6:.1f} MB")
        return Check("checkpoint", Verdict.BROKEN, "nano has no weights", "Run `saccade train nano`.")
    folder = Path(settings.model)
    if (folder / "config.json").is_file():
        return Check("checkpoint", Verdict.OK, str(folder))
    return Check(
        "checkpoint", Verdict.BROKEN, f"no config.json in {folder}", "Point `model` at a checkpoint."
    )


def _tracker(settings: Settings) -> Check:
    try:
        files = checkpoint_files(settings.tracker).all
    except SaccadeError as exc:
        return Check("tracker", Verdict.BROKEN, exc.message, exc.remedy)
    size = sum(file.stat().st_size for file in files if file.is_file())
    return Check("tracker", Verdict.OK, f"{settings.tracker}, {size / 1e6:.1f} MB")


def _port(settings: Settings) -> Check:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as exc:
            return Check(
                "port",
                Verdict.MISSING,
                f"{settings.host}:{settings.port}: {exc.strerror}",
                "A service may be running already; else set `port`.",
            )
    return Check("port", Verdict.OK, f"{settings.host}:{settings.port} is free")


def _webrtc(settings: Settings) -> Check:
    try:
        ice = IceCandidates.of(settings)
    except SaccadeError as exc:
        return Check("webrtc", Verdict.BROKEN, exc.message, exc.remedy)
    first, last = ice.ports[0], ice.ports[-1]
    places = f"{', '.join((*ice.public, *ice.local))}; UDP {f'{first} to {last}' if first else 'any port'}"
    for name in ice.public:
        if not asyncio.run(resolve_addresses(name)):
            return Check("webrtc", Verdict.MISSING, f"{name} does not resolve", "See `ice_public_addresses`.")
    return Check("webrtc", Verdict.OK, places + "; browsers on this machine only" * ice.same_machine_only)


def _state(settings: Settings) -> Check:
    folder = settings.state_dir.absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK | os.X_OK):
        return Check("state_dir", Verdict.OK, str(folder))
    return Check("state_dir", Verdict.BROKEN, f"{folder} cannot be written", "Set `state_dir`.")
