"""Reverse proxies with TLS: nginx and Caddy with the examples of docs/proxies.md, and one of our own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from aiortc import RTCCertificate
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "proxies.md").read_text()
PROXIES = ["plain", *(name for name in ("nginx", "caddy") if shutil.which(name))]
"""`plain` copies bytes behind TLS and changes nothing; the others where they are installed."""


def example(language: str) -> str:
    """Return the example of the documentation."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@contextmanager
def running_proxy(
    name: str, url: str, folder: Path, *, at: str = "127.0.0.1", port: int = 443, prefix: Sequence[str] = ()
) -> Iterator[None]:
    """Run a proxy of `PROXIES` for https://cam.example/saccade/ in front of the service at `url`."""
    made = RTCCertificate.generateCertificate()
    key, certificate = folder / "proxy.key", folder / "proxy.pem"
    key.write_bytes(made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(made._cert.public_bytes(Encoding.PEM))
    target = urlsplit(url).netloc
    if name == "plain":
        command = [sys.executable, "-m", "tests.proxies", certificate, key, at, str(port), target]
    elif name == "nginx":
        site = example("nginx").replace("443", f"{at}:{port}").replace("127.0.0.1:8400", target)
        site = site.replace("/etc/ssl/cam.example.pem", str(certificate))
        command = nginx(site.replace("/etc/ssl/cam.example.key", str(key)), folder)
    else:
        site = example("caddy").replace("127.0.0.1:8400", target)
        head = f"https://cam.example:{port} {{\n  bind {at}\n  tls {certificate} {key}"
        command = caddy(site.replace("cam.example {", head), folder)
    with running([*prefix, *command], folder, at, port, prefix):
        yield


def nginx(servers: str, folder: Path) -> list[str | Path]:
    """Write a configuration around `server` blocks; return the command that runs it in the foreground."""
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {place}_temp_path {folder}/{place};\n" for place in places)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;\n"
        f"events {{}}\nhttp {{\n  access_log off;\n{temporary}{servers}}}\n"
    )
    return ["nginx", "-c", config, "-e", "stderr"]


def caddy(sites: str, folder: Path) -> list[str | Path]:
    """Write a configuration with these sites; return the command that runs it in the foreground."""
    config = folder / "Caddyfile"
    config.write_text("{\n  admin off\n  auto_https off\n}\n" + sites)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", config]


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, at: str, port: int, prefix: Sequence[str] = ()
) -> Iterator[None]:
    """Run a server until the block ends, from when it listens."""
    with (folder / "proxy.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=os.environ | {"HOME": str(folder)},
        )
    try:
        waiting = [*prefix, sys.executable, "-m", "tests.proxies", at, str(port)]
        assert subprocess.run(waiting, cwd=ROOT, check=False).returncode == 0, (
            folder / "proxy.log"
        ).read_text()
        yield
    finally:
        server.terminate()
        server.wait(20)


def wait_until_listening(at: str, port: int, timeout_s: float = 20.0) -> None:
    """Raise OSError if nothing listens in time."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((at, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return


async def serve_plain(certificate: str, key: str, at: str, port: int, target: str) -> None:
    """Take TLS connections and copy their bytes to and from `target`, for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host, _, target_port = target.rpartition(":")

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(host, int(target_port))
        await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))

    server = await asyncio.start_server(connected, at, port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        wait_until_listening(sys.argv[1], int(sys.argv[2]))
    else:
        asyncio.run(serve_plain(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]))
