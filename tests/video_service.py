"""A gateway with one stream `red` that shows the red image: `python -m tests.video_service FOLDER SETTINGS`.

SETTINGS is JSON. It prints the gateway's URL, plays until its standard input is closed, and has its own
Redis, so that it can run in a network namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

from actors.redis_server import RedisServer
from streaming.settings import Settings
from streaming.vocabulary import Clock, Frame, StreamId
from tests.page import serving
from tests.peers import red_image
from tests.video_control import VideoControl

FPS = 10


async def main(folder: Path, settings: Settings) -> None:
    redis = RedisServer(folder / "redis")
    control = VideoControl(settings)
    try:
        async with serving(control, redis.start(), folder, settings) as service:
            stream_id = await service.live_stream("red", red_image().shape[:2])
            playing = asyncio.create_task(play(control, stream_id))
            print(service.url, flush=True)
            await asyncio.to_thread(sys.stdin.read)
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing
            await control.close()
    finally:
        redis.stop()


async def play(control: VideoControl, stream_id: StreamId) -> None:
    index = 0
    while True:
        control.out.push(Frame(stream_id, index, red_image(), index / FPS, time.time(), Clock.ARRIVAL))
        index += 1
        await asyncio.sleep(1 / FPS)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Settings(**json.loads(sys.argv[2]))))
