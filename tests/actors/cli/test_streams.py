"""Commands that talk to a running service, here a real gateway, or to none."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import is_one_line, saccade
from tests.served import TOKEN, Service

NOBODY = ("--server", "http://127.0.0.1:1")


class Terminal:
    """A terminal that knows a service."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._settings = {"SACCADE_SERVER": service.url, "SACCADE_API_TOKEN": TOKEN}
        self._folder = folder

    async def say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(saccade, *arguments, cwd=self._folder, **self._settings)

    async def ask(self, *arguments: str) -> Any:
        done = await self.say(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def terminal(served: Service, tmp_path: Path) -> Terminal:
    return Terminal(served, tmp_path)


async def test_a_stream_is_added_with_its_query_listed_and_removed(terminal: Terminal) -> None:
    added = await terminal.ask("stream", "add", "door", "rtsp://camera.example/1", "--query", "the red one")
    assert (added["stream_id"], added["queries"][0]["text"]) == ("door", "the red one")
    assert [stream["stream_id"] for stream in await terminal.ask("stream", "list")] == ["door"]
    removed = await terminal.say("stream", "remove", "door")
    assert (removed.returncode, removed.stdout) == (0, "")
    assert await terminal.ask("stream", "list") == []


async def test_a_query_is_added_edited_listed_and_removed(terminal: Terminal) -> None:
    for stream_id in ("door", "gate"):
        await terminal.say("stream", "add", stream_id, "rtsp://camera.example/1")
    query = await terminal.ask("query", "add", "door", "the red one")
    edited = await terminal.ask("query", "edit", query["query_id"], "the blue one")
    assert (edited["text"], edited["revision"]) == ("the blue one", query["revision"] + 1)
    assert [one["text"] for one in await terminal.ask("query", "list")] == ["the blue one"]
    assert await terminal.ask("query", "list", "gate") == []
    await terminal.say("query", "remove", query["query_id"])
    assert await terminal.ask("query", "list") == []


async def test_a_question_may_be_about_a_part_of_the_picture(terminal: Terminal) -> None:
    await terminal.say("stream", "add", "door", "rtsp://camera.example/1")
    about = ("query", "add", "door", "What is this?", "--kind", "ask", "--region")
    assert (await terminal.ask(*about, "0.4,0.2,0.6,0.7"))["region"] == [0.4, 0.2, 0.6, 0.7]
    for wrong, says in (
        ("0.4,0.2", "four numbers"),
        ("here", "four numbers"),
        ("0.6,0,0.4,1", "not in the picture"),
    ):
        done = await terminal.say(*about, wrong)
        assert done.returncode == 2 and says in done.stderr


async def test_people_get_a_table(terminal: Terminal) -> None:
    done = await terminal.say("stream", "add", "door", "rtsp://camera.example/1")
    assert done.returncode == 0
    assert "door" in done.stdout and not done.stdout.startswith("{")


async def test_what_the_service_refuses_is_one_line_and_a_mistake(terminal: Terminal) -> None:
    done = await terminal.say("stream", "add", "door", "rtsp://10.0.0.1/1")
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
def test_without_a_service_a_command_says_how_to_start_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = saccade(*arguments, *NOBODY, cwd=tmp_path)
    assert done.returncode == 1
    assert is_one_line(done), done.stderr
    assert "saccade up" in done.stderr


def test_the_service_is_looked_for_where_the_settings_put_it(tmp_path: Path) -> None:
    done = saccade("stream", "list", cwd=tmp_path, SACCADE_HOST="::1", SACCADE_PORT="1")
    assert "http://[::1]:1" in done.stderr
