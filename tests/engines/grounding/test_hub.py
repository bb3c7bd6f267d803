"""Laws of fetching from a hub, against a real server on loopback that speaks as a hub does.

A hub's client reads where its hub is when it is imported, so it runs in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engines.grounding.checkpoints import load_sa2va
from engines.grounding.hub import fetch
from streaming.errors import CheckpointError, NotFound

COMMIT = "0123456789" * 4
NAME = f"someone/tiny@{COMMIT}"
CHUNK = 10 * 1024 * 1024
"The client counts what it has in these."
FILES = {
    "config.json": b'{"architectures": ["Sa2VAChatModel"]}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights " * 1_600_000,
    "modeling_evil.py": b"raise SystemExit('remote code ran')",
    "pytorch_model.bin": b"a pickle",
}


class Hub(ThreadingHTTPServer):
    """The part of the hub's HTTP API that the client needs for one repository."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.status = 200
        self.breaks = 0
        "How many transfers of weights are cut yet,"
        self.cut_at = CHUNK + 1000
        "and after how many bytes."
        self.asked: list[tuple[str, str, str | None]] = []
        "Method, path and range of every request."

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answering(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path, span = self.path.split("?")[0], self.headers.get("Range")
        self.server.asked.append((self.command, path, span))
        if self.server.status != 200 or "someone/tiny" not in path:
            self._send(404 if self.server.status == 200 else self.server.status, b"", {})
        elif path.startswith("/api/"):
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in FILES.items()
            ]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        else:
            self._file(FILES[path.rsplit("/", 1)[-1]], span, with_body=with_body)

    def _file(self, body: bytes, span: str | None, *, with_body: bool) -> None:
        start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
        headers = {
            "ETag": f'"{hashlib.sha1(body).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if span:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        cut = None
        if with_body and len(body) > CHUNK and self.server.breaks:
            self.server.breaks -= 1
            cut = self.server.cut_at
        self._send(206 if span else 200, body[start:], headers, cut=cut, with_body=with_body)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        cut: int | None = None,
        with_body: bool = True,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body[:cut])
        self.close_connection = cut is not None

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _fetch(name: str, url: str, home: Path) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys, time\n"
        "time.sleep = lambda seconds: None  # between attempts\n"
        "from engines.grounding.hub import fetch\n"
        "from streaming.errors import SaccadeError\n"
        "try: print(fetch(sys.argv[1]))\n"
        "except SaccadeError as exc: sys.exit(f'{type(exc).__name__}: {exc}')\n"
    )
    quick = {"HF_HUB_ETAG_TIMEOUT": "2", "HF_HUB_DOWNLOAD_TIMEOUT": "2", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, "-c", script, name],
        env=os.environ | quick | {"HF_ENDPOINT": url, "HF_HOME": str(home)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_tensors_configurations_and_tokenizers_are_fetched_once_and_no_code(hub: Hub, tmp_path: Path) -> None:
    first = _fetch(NAME, hub.url, tmp_path)
    folder = Path(first.stdout.strip())
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert all((folder / name).read_bytes() == FILES[name] for name in ("config.json", "model.safetensors"))
    assert "%|" in first.stderr, "a progress bar"
    hub.asked.clear()
    assert _fetch(NAME, hub.url, tmp_path).stdout == first.stdout
    assert not [path for method, path, _ in hub.asked if method == "GET" and "resolve" in path]


def test_a_cached_checkpoint_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    first = _fetch(NAME, hub.url, tmp_path)
    assert _fetch(NAME, "http://127.0.0.1:9", tmp_path).stdout == first.stdout


def _weights_asked(hub: Hub) -> list[str | None]:
    return [span for method, path, span in hub.asked if method == "GET" and path.endswith("safetensors")]


def test_an_interrupted_transfer_resumes(hub: Hub, tmp_path: Path) -> None:
    hub.breaks = 1
    fetched = _fetch(NAME, hub.url, tmp_path)
    assert (Path(fetched.stdout.strip()) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert _weights_asked(hub)[0] is None
    assert str(_weights_asked(hub)[1]).startswith(f"bytes={CHUNK}-")


def test_after_a_failed_call_only_missing_files_are_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.breaks, hub.cut_at = 100, 1000
    assert "CheckpointError: The hub did not hand over" in _fetch(NAME, hub.url, tmp_path).stderr
    hub.breaks = 0
    hub.asked.clear()
    folder = Path(_fetch(NAME, hub.url, tmp_path).stdout.strip())
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not [path for method, path, _ in hub.asked if method == "GET" and path.endswith("json")]


@pytest.mark.parametrize(
    ("status", "error"), [(404, "NotFound"), (500, "CheckpointError"), (403, "CheckpointError")]
)
def test_http_errors_of_the_hub_are_translated(hub: Hub, tmp_path: Path, status: int, error: str) -> None:
    hub.status = status
    said = _fetch(NAME, hub.url, tmp_path)
    assert said.returncode == 1 and said.stderr.splitlines()[-1].startswith(f"{error}: The hub ")


def test_an_unreachable_hub_is_a_checkpoint_error(tmp_path: Path) -> None:
    said = _fetch(NAME, "http://127.0.0.1:9", tmp_path).stderr.splitlines()[-1]
    assert said.startswith("CheckpointError: The hub did not hand over") and "HF_ENDPOINT" in said


@pytest.mark.parametrize(
    "name", ["someone/tiny", "someone/tiny@", "someone/tiny@main", "someone/tiny@0123abc"]
)
def test_a_name_without_a_commit_is_refused(name: str) -> None:
    with pytest.raises(NotFound, match="Pin it: someone/tiny@"):
        fetch(name)


def test_load_sa2va_accepts_a_hub_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A local folder of that name takes precedence."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match="Pin it"):
        load_sa2va("someone/tiny")
    (tmp_path / "someone" / "tiny").mkdir(parents=True)
    (tmp_path / "someone" / "tiny" / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"config\.json holds no object"):
        load_sa2va("someone/tiny")
