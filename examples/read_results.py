"""Read the masks of a stream from Redis, with redis-py and pycocotools.

python examples/read_results.py STREAM [--once]

Prints the results that Redis holds, then each new result. With --once it stops after the stored ones.
"""

import json
import os
import sys
from pathlib import Path

import redis
from pycocotools import mask as coco

stream = sys.argv[1]
# The Redis of your settings, or else the one that `saccade up` started in this folder.
url = os.environ.get("SACCADE_REDIS_URL") or Path(".state/redis/url").read_text().strip()
client = redis.Redis.from_url(url)
last_id = "0"  # "$" would skip the stored results

while True:
    reply = client.xread({f"saccade:{{{stream}}}:frames": last_id}, count=100, block=1000)
    if not reply and "--once" in sys.argv:
        break
    for _key, entries in reply:
        for last_id, fields in entries:  # noqa: B007 - the next read continues after the last id
            frame = json.loads(fields[b"data"])
            for track in frame["tracks"]:
                if track["mask"]:
                    mask = coco.decode(track["mask"])  # (height, width) uint8, 1 on the object
                    print(frame["frame_index"], track["track_id"], track["phrase"], mask.sum(), "pixels")
