"""The line, end to end: a camera over RTSP, words by REST and command line, masks read by plain libraries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from pycocotools import mask as coco

from actors.cli.api_client import ServiceClient
from lab.benchmarks.line import most_seen
from lab.demo.scene import CLIP, Truth, load_truth
from tests.processes import named
from tests.servers import playing
from tests.up import Up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

STREAM = "pipeline"
ONE, ANOTHER, THIRD = most_seen(load_truth())[:3]
"Words about what is always in sight."
KEY = f"saccade:{{{STREAM}}}:frames"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return load_truth()


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with playing(CLIP) as (server, _):
        yield server.url


@pytest.fixture(scope="module")
def store(service: Up) -> Iterator[redis.Redis]:
    """Plain redis-py, as any consumer would use it."""
    client = redis.Redis.from_url(service.redis_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stream(service: Up, camera: str) -> Iterator[str]:
    """The camera as a stream of the service, added by the command line with its first query."""
    saccade(service, "stream", "add", STREAM, camera, "--query", ONE)
    yield STREAM
    saccade(service, "stream", "remove", STREAM)


def saccade(service: Up, *arguments: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "saccade"), *arguments],
        env=os.environ | service.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(store: redis.Redis) -> dict:
    entries = store.xrevrange(KEY, count=1)
    return json.loads(entries[0][1][b"data"]) if entries else {"tracks": [], "frame_index": -1}


def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.05)


def masks(result: dict) -> list[np.ndarray]:
    return [
        coco.decode({"size": track["mask"]["size"], "counts": track["mask"]["counts"]}).astype(bool)
        for track in result["tracks"]
        if track["mask"]
    ]


def best_overlap(truth: Truth, words: str, mask: np.ndarray) -> float:
    """How well a mask fits a thing somewhere in the clip; which picture it is about is not known here."""
    found = 0.0
    for frame in range(0, len(truth.masks), 3):
        true = truth.mask_of(words, frame)
        if true.any():
            found = max(found, float((true & mask).sum() / (true | mask).sum()))
    return found


def lies_on(store: redis.Redis, truth: Truth, words: str, floor: float = 0.6) -> bool:
    shown = masks(newest(store))
    return bool(shown) and best_overlap(truth, words, shown[0]) >= floor


def add(client: ServiceClient, stream: str, text: str, kind: str, **more: object) -> str:
    """Ask, and get the query's id."""
    added = client.post(f"/v1/streams/{stream}/queries", {"text": text, "kind": kind, **more})
    return str(added["query_id"])


def answered(client: ServiceClient, query_id: str) -> dict:
    """A query of which the grounder has said all that it will."""
    until(lambda: client.get(f"/v1/queries/{query_id}")["answer"])
    return dict(client.get(f"/v1/queries/{query_id}"))


def test_words_become_masks_on_their_object_and_move_when_they_are_edited(
    service: Up, stream: str, store: redis.Redis, truth: Truth
) -> None:
    until(lambda: lies_on(store, truth, ONE))
    with service.client() as client:
        (query,) = client.get(f"/v1/streams/{stream}/queries")
        client.patch(f"/v1/queries/{query['query_id']}", {"text": ANOTHER})
        until(lambda: lies_on(store, truth, ANOTHER))
        until(lambda: client.get(f"/v1/queries/{query['query_id']}")["prompt_to_mask_s"])
        (edited,) = client.get(f"/v1/streams/{stream}/queries")
    assert (edited["query_id"], edited["revision"]) == (query["query_id"], 2)


def test_a_result_says_all_that_the_schema_promises(stream: str, store: redis.Redis) -> None:
    until(lambda: masks(newest(store)))
    result = newest(store)
    assert result["schema"] == "saccade.frame/1"
    assert (result["stream_id"], result["width"], result["height"]) == (STREAM, 640, 360)
    assert result["published_s"] >= result["captured_s"]
    assert set(result["latency_s"]) == {"decode", "track", "total"}
    track = result["tracks"][0]
    assert track["mask"]["size"] == [360, 640]
    x0, y0, x1, y1 = track["box_px"]
    rows, columns = np.nonzero(masks(result)[0])
    assert (x0, y0, x1, y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_a_query_edit_leaves_no_frame_without_a_result(service: Up, stream: str, store: redis.Redis) -> None:
    until(lambda: masks(newest(store)))
    with service.client() as client:
        (query,) = client.get(f"/v1/streams/{stream}/queries")
        before = newest(store)["frame_index"]
        edited = client.patch(f"/v1/queries/{query['query_id']}", {"text": ONE})
        until(lambda: any(track["revision"] == edited["revision"] for track in newest(store)["tracks"]))
    results = [json.loads(fields[b"data"]) for _, fields in store.xrange(KEY)]
    during = [result for result in results if result["frame_index"] > before]
    steps = np.diff([result["frame_index"] for result in during])
    dropped = [result["dropped"] for result in during[1:]]
    assert (steps == np.array(dropped) + 1).all(), "every frame has a result or is counted as dropped"
    assert all(result["tracks"] for result in during), "the old masks stay until the new ones come"


def test_absent_things_are_refused_in_words(service: Up, stream: str, store: redis.Redis) -> None:
    added = json.loads(saccade(service, "query", "add", stream, "the white ring", "--json"))
    try:
        with service.client() as client:
            until(lambda: client.get(f"/v1/queries/{added['query_id']}")["state"] != "pending")
            said = client.get(f"/v1/queries/{added['query_id']}")
        assert said["state"] == "absent", said
        assert "white ring" in said["answer"]
        assert not [track for track in newest(store)["tracks"] if track["query_id"] == added["query_id"]]
    finally:
        saccade(service, "query", "remove", added["query_id"])


def test_questions_about_the_camera_are_answered_in_words(service: Up, stream: str) -> None:
    """What nano is right about on each of the clip's 600 pictures, for any of them may be asked about; it
    counts two umbrellas on 596 and sees no dog on 594."""
    told = {
        "how many cats are there?": "zero",
        "is there an umbrella?": "yes",
        "what colour is the person wearing?": "yellow",
    }
    with service.client() as client:
        asked = [add(client, stream, text, "ask") for text in told]
        said = [answered(client, query_id) for query_id in asked]
        for query_id in asked:
            client.delete(f"/v1/queries/{query_id}")
    assert {status["text"]: status["answer"] for status in said} == told


def test_what_was_pointed_at_is_refused_in_words_by_a_model_without_regions(service: Up, stream: str) -> None:
    with service.client() as client:
        query_id = add(client, stream, "what is this?", "ask", region=[0.5, 0.5, 0.5, 0.5])
        said = answered(client, query_id)
        client.delete(f"/v1/queries/{query_id}")
    assert "where you point" in said["answer"]


def test_a_caption_points_at_what_it_names(
    service: Up, stream: str, store: redis.Redis, truth: Truth
) -> None:
    with service.client() as client:
        query_id = add(client, stream, "what do you see?", "describe")

        def shown() -> list[dict]:
            tracks = newest(store)["tracks"]
            return [track for track in tracks if track["query_id"] == query_id and track["mask"]]

        caption = answered(client, query_id)["answer"]
        until(shown)
        tracks = shown()
        client.delete(f"/v1/queries/{query_id}")
    assert "<p>" in caption and "[SEG]" in caption
    assert all(f"<p>{track['phrase']}</p>" in caption for track in tracks)
    fits = [
        best_overlap(truth, thing, masks({"tracks": [track]})[0])
        for track in tracks
        for thing in truth.things
        if set(thing.split()) <= set(track["phrase"].split())
    ]
    assert max(fits) >= 0.5, f"{caption} {fits}"
    said = [json.loads(fields[b"data"]) for _, fields in store.xrange(f"saccade:{{{STREAM}}}:words")]
    growing = [words["text"] for words in said if words["query_id"] == query_id]
    assert growing and all(caption.startswith(text) for text in growing), "it was said as it came"


@pytest.mark.parametrize("part", ["ray::Worker", "ray::GrounderActor"])
def test_a_part_that_is_killed_comes_back_and_masks_flow_again(
    part: str, service: Up, stream: str, store: redis.Redis
) -> None:
    until(lambda: masks(newest(store)))
    (pid,) = named(part, service.process.pid)
    os.kill(pid, signal.SIGKILL)
    died_s = time.time()
    until(lambda: named(part, service.process.pid) not in ([], [pid]), 120)
    with service.client() as client:
        added = client.post(f"/v1/streams/{stream}/queries", {"text": THIRD})
        until(lambda: any(track["query_id"] == added["query_id"] for track in newest(store)["tracks"]), 120)
        client.delete(f"/v1/queries/{added['query_id']}")
    assert newest(store)["published_s"] > died_s


def test_redis_that_is_killed_comes_back_and_results_flow_again(
    service: Up, stream: str, store: redis.Redis
) -> None:
    until(lambda: masks(newest(store)))
    (pid,) = named("valkey-server", service.process.pid) or named("redis-server", service.process.pid)
    os.kill(pid, signal.SIGKILL)
    died_s = time.time()

    def flows() -> bool:
        try:
            return newest(store).get("published_s", 0.0) > died_s
        except redis.ConnectionError:
            return False

    until(flows)
    with service.client() as client:
        assert [found["stream_id"] for found in client.get("/v1/streams")] == [stream]
    keys = [entry_id for entry_id, _ in store.xrange(KEY)]
    assert len(keys) == len(set(keys))
