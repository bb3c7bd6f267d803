"""End-to-end tests against one running `saccade up`, as users and their programs meet it.

A camera over RTSP, queries by REST and command line, masks read with redis-py. In a browser: Chromium plays a
drawn scene as its camera and publishes it by WHIP; the page plays it by WHEP.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis
from playwright.async_api import expect
from pycocotools import mask as coco

from actors.cli.api_client import ServiceClient
from lab.benchmarks.line import most_visible
from lab.demo.ground_truth import CLIP, GroundTruth, load_ground_truth
from tests import screen
from tests.browser import chromium, opened, write_camera
from tests.processes import named
from tests.servers import ROOT, playing
from tests.up import Up, saccade_up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

STREAM = "pipeline"
ONE, ANOTHER, THIRD = most_visible(load_ground_truth())[:3]
"Objects that are visible on most frames of the clip."
KEY = f"saccade:{{{STREAM}}}:frames"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running `saccade up`. Remove the streams that you add."""
    with saccade_up(tmp_path_factory.mktemp("service")) as up:
        yield up


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return load_ground_truth()


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with playing(CLIP) as (server, _):
        yield server.url


@pytest.fixture(scope="module")
def store(service: Up) -> Iterator[redis.Redis]:
    """A redis-py client, as a consumer of results uses it."""
    client = redis.Redis.from_url(service.redis_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stream(service: Up, camera: str) -> Iterator[str]:
    """The camera as a stream of the service, added with its first query by the command line."""
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
        assert time.monotonic() < deadline_s, "timeout"
        time.sleep(0.05)


def masks(result: dict) -> list[np.ndarray]:
    return [
        coco.decode({"size": track["mask"]["size"], "counts": track["mask"]["counts"]}).astype(bool)
        for track in result["tracks"]
        if track["mask"]
    ]


def best_overlap(truth: GroundTruth, words: str, mask: np.ndarray) -> float:
    """Return the best IoU of a mask with an object over the clip; which frame it is of is not known here."""
    found = 0.0
    for frame in range(0, len(truth.masks), 3):
        true = truth.mask_of(words, frame)
        if true.any():
            found = max(found, float((true & mask).sum() / (true | mask).sum()))
    return found


def lies_on(store: redis.Redis, truth: GroundTruth, words: str, floor: float = 0.6) -> bool:
    shown = masks(newest(store))
    return bool(shown) and best_overlap(truth, words, shown[0]) >= floor


def add(client: ServiceClient, stream: str, text: str, kind: str, **more: object) -> str:
    """Add a query; returns its id."""
    added = client.post(f"/v1/streams/{stream}/queries", {"text": text, "kind": kind, **more})
    return str(added["query_id"])


def answered(client: ServiceClient, query_id: str) -> dict:
    """Return the status of a query once it is answered."""
    until(lambda: client.get(f"/v1/queries/{query_id}")["answer"])
    return dict(client.get(f"/v1/queries/{query_id}"))


def test_health_and_metrics_need_no_token(service: Up) -> None:
    assert httpx.get(f"{service.server}/live").status_code == 200
    assert httpx.get(f"{service.server}/ready").status_code == 200
    assert "saccade_grounder_queue_depth" in httpx.get(f"{service.server}/metrics").text


@pytest.fixture
def patient_page() -> Iterator[None]:
    """Conditions on the page may take as long as a loaded machine needs, instead of Playwright's 5 s."""
    expect.set_options(timeout=screen.PATIENCE_MS)
    yield
    expect.set_options(timeout=5_000)


@pytest.mark.usefixtures("patient_page")
async def test_a_query_on_a_published_camera_gets_masks_on_the_right_object(
    service: Up, tmp_path: Path
) -> None:
    camera = write_camera(tmp_path / "camera.y4m", screen.there_and_back(), screen.FPS)
    url = f"{service.server}/#token={service.token}"
    async with chromium(camera) as browser, opened(browser, url) as watched:
        page = watched.page
        await screen.publish_camera(page, "webcam")
        await page.get_by_text("Labels", exact=True).click()

        await page.fill("#query-text", "the red circle")
        await page.press("#query-text", "Enter")
        field = page.locator("#queries input")
        await expect(field).to_have_value("the red circle")
        assert await screen.settle(page, "red") >= screen.FLOOR

        await field.fill("the blue square")
        await field.press("Enter")
        assert await screen.settle(page, "blue") >= screen.FLOOR
        assert await screen.judged(page, "red") < 0.2
        await expect(page.locator("#queries > li")).to_have_count(1)
        await expect(page.locator("#n-prompt")).to_contain_text(" ")

        await screen.ask_by_a_click(page)
        await page.get_by_text("Labels", exact=True).click()
        await screen.take_screenshots(browser, page, url, tmp_path)
        await page.click("#camera-button")
        await expect(page.locator("#camera-state")).to_have_text("Stopped.")
        assert watched.errors == []
    with service.client() as client:
        client.delete("/v1/streams/webcam")


def test_the_example_of_the_rest_api_adds_a_query_and_waits_for_its_mask(
    service: Up, camera: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "rest_client.py"), "gate", camera, ONE],
        cwd=tmp_path,
        env=os.environ | service.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    with service.client() as client:
        client.delete("/v1/streams/gate")
    assert done.returncode == 0, done.stderr
    assert "following: " in done.stdout
    assert "first mask after " in done.stdout


def test_a_query_gets_masks_on_its_object_and_an_edit_moves_them(
    service: Up, stream: str, store: redis.Redis, truth: GroundTruth
) -> None:
    until(lambda: lies_on(store, truth, ONE))
    with service.client() as client:
        (query,) = client.get(f"/v1/streams/{stream}/queries")
        client.patch(f"/v1/queries/{query['query_id']}", {"text": ANOTHER})
        until(lambda: lies_on(store, truth, ANOTHER))
        until(lambda: client.get(f"/v1/queries/{query['query_id']}")["prompt_to_mask_s"])
        (edited,) = client.get(f"/v1/streams/{stream}/queries")
    assert (edited["query_id"], edited["revision"]) == (query["query_id"], 2)


def test_a_result_has_the_fields_of_its_schema(stream: str, store: redis.Redis) -> None:
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
    assert all(result["tracks"] for result in during), "old masks are published until new ones are ready"


def test_an_absent_object_is_refused_in_text(service: Up, stream: str, store: redis.Redis) -> None:
    added = json.loads(saccade(service, "query", "add", stream, "the white ring", "--json"))
    try:
        with service.client() as client:
            until(lambda: client.get(f"/v1/queries/{added['query_id']}")["state"] != "pending")
            status = client.get(f"/v1/queries/{added['query_id']}")
        assert status["state"] == "absent", status
        assert "white ring" in status["answer"]
        assert not [track for track in newest(store)["tracks"] if track["query_id"] == added["query_id"]]
    finally:
        saccade(service, "query", "remove", added["query_id"])


def test_questions_are_answered_in_text(service: Up, stream: str) -> None:
    """nano answers these right on all 600 frames of the clip, any of which may be the keyframe. It counts two
    umbrellas on 596 and denies a dog on 594."""
    expected = {
        "how many cats are there?": "zero",
        "is there an umbrella?": "yes",
        "what colour is the person wearing?": "yellow",
    }
    with service.client() as client:
        asked = [add(client, stream, text, "ask") for text in expected]
        statuses = [answered(client, query_id) for query_id in asked]
        for query_id in asked:
            client.delete(f"/v1/queries/{query_id}")
    assert {status["text"]: status["answer"] for status in statuses} == expected


def test_a_region_is_refused_in_text_by_a_model_without_regions(service: Up, stream: str) -> None:
    with service.client() as client:
        query_id = add(client, stream, "what is this?", "ask", region=[0.5, 0.5, 0.5, 0.5])
        status = answered(client, query_id)
        client.delete(f"/v1/queries/{query_id}")
    assert "where you point" in status["answer"]


def test_phrases_of_a_caption_have_masks_on_their_objects(
    service: Up, stream: str, store: redis.Redis, truth: GroundTruth
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
        best_overlap(truth, label, masks({"tracks": [track]})[0])
        for track in tracks
        for label in truth.objects
        if set(label.split()) <= set(track["phrase"].split())
    ]
    assert max(fits) >= 0.5, f"{caption} {fits}"
    entries = store.xrange(f"saccade:{{{STREAM}}}:words")
    reports = [json.loads(fields[b"data"]) for _, fields in entries]
    partial = [report["text"] for report in reports if report["query_id"] == query_id]
    assert partial and all(caption.startswith(text) for text in partial)


@pytest.mark.parametrize("part", ["ray::Worker", "ray::GrounderActor"])
def test_after_an_actor_is_killed_masks_are_published_again(
    part: str, service: Up, stream: str, store: redis.Redis
) -> None:
    until(lambda: masks(newest(store)))
    pids = named(part, service.process.pid)
    for pid in pids:  # a worker and its spare
        os.kill(pid, signal.SIGKILL)
    died_s = time.time()
    until(lambda: set(named(part, service.process.pid)) - set(pids), 120)
    with service.client() as client:
        added = client.post(f"/v1/streams/{stream}/queries", {"text": THIRD})
        until(lambda: any(track["query_id"] == added["query_id"] for track in newest(store)["tracks"]), 120)
        client.delete(f"/v1/queries/{added['query_id']}")
    assert newest(store)["published_s"] > died_s


def test_after_redis_is_killed_results_are_published_again(
    service: Up, stream: str, store: redis.Redis
) -> None:
    until(lambda: masks(newest(store)))
    (pid,) = named("valkey-server", service.process.pid) or named("redis-server", service.process.pid)
    os.kill(pid, signal.SIGKILL)
    died_s = time.time()

    def publishes() -> bool:
        try:
            return newest(store).get("published_s", 0.0) > died_s
        except redis.ConnectionError:
            return False

    until(publishes)
    with service.client() as client:
        assert [found["stream_id"] for found in client.get("/v1/streams")] == [stream]
    keys = [entry_id for entry_id, _ in store.xrange(KEY)]
    assert len(keys) == len(set(keys))
