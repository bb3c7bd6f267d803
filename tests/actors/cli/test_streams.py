"""Tests of the commands stream, query and watch as processes, with a gateway and without a service."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import is_one_line, saccade
from tests.served import TOKEN, Service

NO_SERVICE = ("--server", "http://127.0.0.1:1")


class Terminal:
    """Runs commands with the address and token of a service."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._settings = {"SACCADE_SERVER": service.url, "SACCADE_API_TOKEN": TOKEN}
        self._folder = folder

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(saccade, *arguments, cwd=self._folder, **self._settings)

    async def run_json(self, *arguments: str) -> Any:
        done = await self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def terminal(served: Service, tmp_path: Path) -> Terminal:
    return Terminal(served, tmp_path)


async def test_a_stream_is_added_with_its_query_listed_and_removed(terminal: Terminal) -> None:
    added = await terminal.run_json(
        "stream", "add", "door", "rtsp://camera.example/1", "--query", "the red one"
    )
    assert (added["stream_id"], added["queries"][0]["text"]) == ("door", "the red one")
    assert [stream["stream_id"] for stream in await terminal.run_json("stream", "list")] == ["door"]
    removed = await terminal.run("stream", "remove", "door")
    assert (removed.returncode, removed.stdout) == (0, "")
    assert await terminal.run_json("stream", "list") == []


async def test_a_query_is_added_edited_listed_and_removed(terminal: Terminal) -> None:
    for stream_id in ("door", "gate"):
        await terminal.run("stream", "add", stream_id, "rtsp://camera.example/1")
    query = await terminal.run_json("query", "add", "door", "the red one")
    edited = await terminal.run_json("query", "edit", query["query_id"], "the blue one")
    assert (edited["text"], edited["revision"]) == ("the blue one", query["revision"] + 1)
    assert [listed["text"] for listed in await terminal.run_json("query", "list")] == ["the blue one"]
    assert await terminal.run_json("query", "list", "gate") == []
    await terminal.run("query", "remove", query["query_id"])
    assert await terminal.run_json("query", "list") == []


async def test_a_question_may_have_a_region_and_an_invalid_one_is_refused(terminal: Terminal) -> None:
    await terminal.run("stream", "add", "door", "rtsp://camera.example/1")
    about = ("query", "add", "door", "What is this?", "--kind", "ask", "--region")
    assert (await terminal.run_json(*about, "0.4,0.2,0.6,0.7"))["region"] == [0.4, 0.2, 0.6, 0.7]
    for wrong, message in (
        ("0.4,0.2", "four numbers"),
        ("here", "four numbers"),
        ("0.6,0,0.4,1", "not in the picture"),
    ):
        done = await terminal.run(*about, wrong)
        assert done.returncode == 2 and message in done.stderr


async def test_without_json_a_table_is_printed(terminal: Terminal) -> None:
    done = await terminal.run("stream", "add", "door", "rtsp://camera.example/1")
    assert done.returncode == 0
    assert "door" in done.stdout and not done.stdout.startswith("{")


async def test_an_error_of_the_service_is_one_line_and_exits_with_2(terminal: Terminal) -> None:
    done = await terminal.run("stream", "add", "door", "rtsp://10.0.0.1/1")
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert done.stderr.startswith("refused_address:") and "allowed_hosts" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("stream", "list"),
        ("query", "edit", "q-1", "the blue jacket"),
        ("watch", "door"),
    ],
)
def test_without_a_service_the_error_says_how_to_start_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = saccade(*arguments, *NO_SERVICE, cwd=tmp_path)
    assert done.returncode == 1
    assert is_one_line(done), done.stderr
    assert "saccade up" in done.stderr


def test_the_default_server_is_host_and_port_of_the_settings(tmp_path: Path) -> None:
    done = saccade("stream", "list", cwd=tmp_path, SACCADE_HOST="::1", SACCADE_PORT="1")
    assert "http://[::1]:1" in done.stderr
