"""WHIP and WHEP signalling as in RFC 9725."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from actors.redis_server import RedisServer
from streaming.vocabulary import StreamId, StreamSpec
from tests.page import TOKEN, serving, until
from tests.peers import is_red_image
from tests.served import Service, is_problem
from tests.video_control import VideoControl

SDP = {"Content-Type": "application/sdp"}


async def test_whip_and_whep_open_and_end_sessions(served: Service) -> None:
    await served.add("phone", "whip:")
    offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
    for protocol in ("whip", "whep"):
        opened = await served.http.post(f"/{protocol}/phone", content=offer, headers=SDP)
        assert opened.status_code == 201
        assert opened.headers["content-type"] == "application/sdp"
        assert opened.text.startswith("v=0")
        where = opened.headers["location"]
        assert where.startswith(f"/{protocol}/phone/")
        assert is_problem(await served.http.patch(where, content=""), 405, "method_not_allowed")
        assert (await served.http.delete(where)).status_code == 200
        assert is_problem(await served.http.delete(where), 404, "not_found")


@pytest.mark.parametrize("profile", ["high", "main"])
async def test_the_whip_muxer_of_ffmpeg_publishes(
    redis_server: RedisServer, tmp_path: Path, profile: str
) -> None:
    control = VideoControl()
    async with serving(control, redis_server.url, tmp_path) as service:
        await service.control.add_stream(StreamSpec(StreamId("ffmpeg"), "whip:"))
        arguments = [
            "-m",
            "tests.whip_publisher",
            f"{service.url}/whip/ffmpeg",
            TOKEN,
            profile,
            str(tmp_path),
        ]
        publisher = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        try:
            await until(lambda: len(control.frames) > 3 or publisher.returncode is not None, 30)
            assert is_red_image(control.frames[-1].pixels)
        finally:
            publisher.kill()
            await publisher.wait()
        await control.close()


async def test_a_second_publisher_is_refused(served: Service) -> None:
    await served.add("phone", "whip:")
    assert (await served.http.post("/whip/phone", content="v=0", headers=SDP)).status_code == 201
    assert is_problem(await served.http.post("/whip/phone", content="v=0", headers=SDP), 409, "conflict")


async def test_a_body_that_is_not_an_offer_is_refused(served: Service) -> None:
    await served.add("phone", "whip:")
    wrong_type = await served.http.post("/whip/phone", json={"sdp": "v=0"})
    assert is_problem(wrong_type, 415, "unsupported_media_type")
    assert wrong_type.headers["accept-post"] == "application/sdp"
    assert is_problem(
        await served.http.post("/whip/phone", content=b"\xff\xfe", headers=SDP), 400, "invalid_sdp"
    )
    assert is_problem(await served.http.post("/whip/phone", content="", headers=SDP), 400, "invalid_sdp")
    assert is_problem(await served.http.post("/whep/gone", content="v=0", headers=SDP), 404, "not_found")
    options = await served.http.options("/whip/phone")
    assert (options.status_code, options.headers["accept-post"]) == (204, "application/sdp")
