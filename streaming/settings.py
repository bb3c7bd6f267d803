"""The settings of the service.

Read from `saccade.toml` (or `--config`), overridden by `SACCADE_*` in the environment, for instance
`SACCADE_PORT=9000`. Lists in the environment are JSON: `SACCADE_ALLOWED_HOSTS='["10.0.0.0/8"]'`.
Names end in their unit; secrets are `SecretStr` and never printed.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streaming.errors import InvalidSettings
from streaming.validation import DEFAULT_MAX_PIXELS

BackendName = Literal["auto", "tensorrt", "openvino", "onnxruntime", "torch"]
UdpPort = Annotated[int, Field(ge=1, le=65535)]
TrackerPrecision = Literal["auto", "float32", "bfloat16", "int8"]


class Settings(BaseSettings):
    """All settings, with safe defaults."""

    model_config = SettingsConfigDict(
        env_prefix="SACCADE_", extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address the gateway binds to. Anything but loopback makes every request need a token."""
    port: int = Field(8400, ge=0, le=65535)
    """Port of the gateway; 0 picks a free one."""
    api_token: SecretStr | None = None
    """Bearer token for anything that changes state. Made at start and kept in `state_dir` if not given."""
    allowed_origins: list[str] = []
    """Web origins besides the service's own page that may call the API from a browser."""
    server_names: list[Annotated[str, Field(pattern=r"^([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?$")]] = []
    """Names that the gateway answers to (Host headers) besides its own address, for instance that of a
    reverse proxy in front of it. With any, every request needs a token."""
    root_path: str = Field("", pattern=r"^(/[\w.~-]+)*$")
    """Path that a reverse proxy serves the gateway at, for instance `/saccade`; the proxy may remove it."""
    state_dir: Path = Path(".state")
    """Folder of the token, of the snapshots of tracks, and of the data of the service's own Redis."""
    cache_dir: Path = Path(".state/compiled")
    """Folder of the compile cache. May be shared by services, and removed at any time."""

    redis_url: SecretStr | None = None
    """Redis or Valkey to use: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`, see
    `docs/compatibility.md`. If not given, the service runs its own server on a free loopback port."""
    redis_password: SecretStr | None = None
    """Password of `redis_url`, with any characters; in the URL itself it has to be percent-encoded."""
    results_maxlen: int = Field(2_000, ge=10)
    """Approximate length of each Redis Stream of results (MAXLEN ~)."""
    events_maxlen: int = Field(1_000, ge=10)
    """Approximate length of each Redis Stream of events, answers, words and errors."""

    allowed_schemes: list[str] = ["rtsp", "rtsps", "whip", "file", "camera"]
    """Allowed schemes of a source URL."""
    allowed_hosts: list[str] = []
    """Networks (CIDR) or host names a source may reach although they are private, loopback or link-local."""
    media_dirs: list[Path] = []
    """Folders that `file` sources may read from. None: no file source can be added over the API."""

    source_timeout_s: float = Field(3.0, gt=0)
    """Without a frame, and without another sign of life, for this long the source is stalled and opened
    again."""
    source_connect_timeout_s: float = Field(5.0, gt=0)
    """Time for a source to connect and deliver its first frame."""
    max_frame_pixels: int = Field(DEFAULT_MAX_PIXELS, ge=64 * 64)
    """Most pixels of a picture, width times height, of any source (4096 x 2304). Larger pictures are refused
    before memory is allocated for them."""
    rtsp_reader: Literal["auto", "native", "ffmpeg"] = "auto"
    """Reader of RTSP sources. `native`: our own, with the lowest latency; FFmpeg's for codecs that it does
    not read. `auto`: the same, and the other reader after two sessions in a row that failed although the
    camera answered; after ten, if the reader has read this camera before."""
    ice_addresses: Literal["auto"] | Annotated[list[str], Field(min_length=1)] = "auto"
    """Addresses of this machine for WebRTC (ICE host candidates). `auto`: `host` if it is one of them, else
    all of them. A gateway on loopback without `server_names` and `ice_public_addresses` takes video from and
    to this machine only, on all its addresses: Firefox refuses loopback."""
    ice_public_addresses: list[str] = []
    """Additional addresses or names by which browsers reach this machine, with the same UDP ports: of a NAT,
    or of the host that publishes a container's ports."""
    ice_udp_ports: tuple[UdpPort, UdpPort] | None = None
    """First and last UDP port for WebRTC, to open in a firewall; any port if not given. A session takes one
    of each address."""

    model: str = "nano"
    """Model of the grounder: `nano`, the folder of a Sa2VA checkpoint, or `owner/name@commit` on a hub."""
    model_device: str = "cpu"
    """Device of the grounder: `cpu`, `cuda`, `cuda:1`."""
    model_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Data type of the grounder; `auto`: bfloat16 where the checkpoint has it and the machine computes in
    it."""
    model_tiles: int = Field(1, ge=1, le=12)
    """Most tiles of a keyframe without earlier images, for models with tiling; 1: no tiling."""
    grounding_budget_s: float = Field(30.0, gt=0)
    """Longest grounding of a keyframe; then it is an error of its stream, and it is asked again."""
    tracker: str = "nano"
    """Model of the trackers: `nano`, an official SAM-2 or EdgeTAM `.pt` file, or a checkpoint's folder."""
    tracker_px: int | None = Field(None, ge=32)
    """Side of the tracker's square input in pixels; the checkpoint's own, often 1024, if not given."""
    backend: BackendName = "auto"
    """Runtime of the tracker's graphs; `auto`: TensorRT where there is a GPU for it, else OpenVINO."""
    tracker_precision: TrackerPrecision = "auto"
    """Precision of matrix products; `auto`: bfloat16 where the machine computes in it. `int8` (OpenVINO) is
    faster still for published checkpoints, not for nano; it is quantised once, with package nncf."""
    tracker_threads: int = Field(2, ge=1)
    """CPU threads of each stream's tracker. Two threads give 1.6x the frame rate for 25 % more CPU. On
    OpenVINO, when a worker has more streams than fit on its cores with that many threads, each uses one."""
    max_streams: int = Field(16, ge=1)
    """Most streams of the service."""
    max_queries_per_stream: int = Field(8, ge=1)
    """Most queries of a stream."""
    max_tracks_per_stream: int = Field(16, ge=1)
    """Most tracks of a stream at a time."""
    max_query_chars: int = Field(500, ge=1)
    """Longest text of a query."""
    examples: list[str] = []
    """Example queries on the page."""

    ray_address: str | None = None
    """Address of a Ray cluster. If not given, Ray starts on this machine and stops with the program."""
    workers: int = Field(1, ge=1)
    """Number of worker processes; streams are spread over them."""

    warm_spares: list[Literal["worker", "grounder"]] = ["worker"]
    """Processes that have loaded their model and wait to replace one that dies. With nano each takes 0.2 GB;
    with other models as much as the one it replaces, on a GPU too."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Level of log lines on stderr."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, the environment, the file."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=cls._toml_file())
        return init_settings, env_settings, toml

    @classmethod
    def _toml_file(cls) -> Path | None:
        return _config_file


_config_file: Path | None = None


def load_settings(config: Path | None = None, **overrides: object) -> Settings:
    """Load settings from `config` (default: `saccade.toml` if it exists), the environment and `overrides`.

    Raises InvalidSettings, naming the field, the value's fault and the file.
    """
    global _config_file
    path = config or Path("saccade.toml")
    if config is not None and not path.is_file():
        raise InvalidSettings(f"No settings file at {path}.", remedy="Check --config.")
    _config_file = path if path.is_file() else None
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as exc:
        raise InvalidSettings(f"{path} is not TOML: {exc}.") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidSettings(
            f"Setting {name}: {first['msg']}.", remedy=f"See {path} and SACCADE_*."
        ) from exc
    finally:
        # Only this call reads the file: Settings() elsewhere reads none.
        _config_file = None
