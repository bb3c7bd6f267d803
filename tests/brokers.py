"""Redis-compatible servers of every kind on loopback: replicas, Sentinels, clusters, TLS, ACL users."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from actors.redis_server import find_program
from lab.fixtures.ports import free_port


class Broker:
    """A valkey-server with given configuration lines, ended by `stop`."""

    def __init__(self, folder: Path, *lines: str, sentinel: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = folder / "server.conf"
        config.write_text(
            "\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", 'save ""', *lines, ""])
        )
        command = [str(find_program()), str(config), *(["--sentinel"] if sentinel else [])]
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until(self._answers)

    def client(self, **options: Any) -> Any:
        """Any Redis client, as a user would have."""
        return redis.Redis(port=self.port, socket_timeout=5, **options)

    def stop(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()
        self._log.close()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.exceptions.AuthenticationError), self.client() as client:
            try:
                client.ping()
            except redis.ConnectionError:
                return False
        return True


def until(holds: Any, within_s: float = 20.0) -> None:
    """Wait until `holds()` is true."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.01)


@contextlib.contextmanager
def brokers(folder: Path, count: int, *lines: str) -> Iterator[list[Broker]]:
    """Some servers of the same configuration."""
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(count):
            broker = Broker(folder / str(number), *lines)
            stack.callback(broker.stop)
            started.append(broker)
        yield started


def replicate(replica: Broker, primary: Broker) -> None:
    """Make `replica` a replica of `primary` and wait until it has its data."""
    with replica.client() as client:
        client.replicaof("127.0.0.1", primary.port)
        until(lambda: client.info("replication")["master_link_status"] == "up")


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[Broker]]:
    """A cluster of three nodes, each with a third of the slots."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for number, (first, last) in enumerate([(0, 5460), (5461, 10922), (10923, 16383)]):
            lines = ("cluster-enabled yes", f"cluster-port {free_port()}", "cluster-node-timeout 2000")
            node = Broker(folder / f"node{number}", *lines)
            stack.callback(node.stop)
            nodes.append(node)
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                bus = lines[1].split()[1]
            with nodes[0].client() as client:
                if number:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        for node in nodes:
            with node.client() as client:
                until(lambda client=client: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield nodes


def certificate(folder: Path) -> Path:
    """Write a self-signed certificate of 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(today - timedelta(1)).not_valid_after(today + timedelta(1))
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = builder.add_extension(address, False).sign(key, hashes.SHA256())
    path = folder / "ca.pem"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


@contextlib.contextmanager
def tls_front(folder: Path, upstream_port: int) -> Iterator[tuple[int, Path]]:
    """Serve TLS on loopback in front of a server without it, as the wheel's is; yield port and authority."""
    authority = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    loop, started = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", upstream_port)
        await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        await ended.wait()
        server.close()
        await asyncio.sleep(0)

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    yield ports[0], authority
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


def url_of(broker: Broker) -> SecretStr:
    """Return the URL of a server without a password."""
    return SecretStr(f"redis://127.0.0.1:{broker.port}/0")
