"""The page's pure modules, in a real browser: masks, matching, placing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Page
from pycocotools import mask as coco
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles

import dashboards
from dashboards.server import GatewayServer
from tests.browser import chromium, module_value, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC = Path(dashboards.__file__).parent / "static"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    app = Starlette()
    app.mount("/", StaticFiles(directory=STATIC))
    server = GatewayServer(app, "127.0.0.1", 0)
    url = await server.start()
    async with chromium() as browser, opened(browser, f"{url}/icon.svg") as watched:
        yield watched.page
    await server.stop()


def rle_of(mask: NDArray[np.bool_]) -> dict[str, object]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def ring(height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    return np.asarray((radius < 0.4) & (radius > 0.2))


def some_masks() -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(7)
    noise = [
        rng.random((int(rng.integers(1, 70)), int(rng.integers(1, 90)))) < share
        for share in (0.02, 0.5, 0.98)
    ]
    plain = [np.zeros((5, 9), bool), np.ones((9, 5), bool), np.eye(12, dtype=bool), np.ones((1, 1), bool)]
    return [*noise, *plain, ring(90, 160), ring(180, 320)]


async def test_masks_are_decoded_as_pycocotools_encodes_them(page: Page) -> None:
    for mask in some_masks():
        decoded = await module_value(page, "masks.js", "return [...m.decodeMask(a).bits]", rle_of(mask))
        assert np.array_equal(np.reshape(decoded, mask.T.shape).T, mask), mask.shape


async def test_an_outline_holds_exactly_the_pixels_of_its_mask(page: Page) -> None:
    body = """
      const path = m.maskPath(a), [height, width] = a.size, inside = [];
      const context = new OffscreenCanvas(1, 1).getContext("2d");
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) inside.push(context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd"));
      return inside;
    """
    for mask in some_masks()[:-1]:
        inside = await module_value(page, "masks.js", body, rle_of(mask))
        assert np.array_equal(np.reshape(inside, mask.shape), mask), mask.shape


POINTED = """return m.pointed(a.from, a.to, { width: 640, height: 320 }, { width: 640, height: 400 })"""
"A picture with 40 px of black above and below."


@pytest.mark.parametrize(
    ("start", "end", "region"),
    [
        ((160, 120), (162, 121), [0.25, 0.25, 0.25, 0.25]),
        ((160, 120), (320, 200), [0.25, 0.25, 0.5, 0.5]),
        ((320, 200), (160, 120), [0.25, 0.25, 0.5, 0.5]),
        ((320, 200), (900, -50), [0.5, 0.0, 1.0, 0.5]),
        ((320, 20), (320, 200), None),
    ],
)
async def test_a_click_or_a_box_is_in_fractions_of_the_frame(
    page: Page, start: tuple[int, int], end: tuple[int, int], region: list[float] | None
) -> None:
    places = {"from": dict(zip("xy", start, strict=True)), "to": dict(zip("xy", end, strict=True))}
    assert await module_value(page, "pointing.js", POINTED, places) == region


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([4, 4], "00"),
        ([4, 4], "0@"),
        ([4, 4], "P"),
        ([0, 4], ""),
        ([1, 4], "\x7f"),
        ([9000, 9000], "0"),
        ([2, 2], "oooooooo"),
    ],
)
async def test_a_text_that_is_no_mask_is_refused(page: Page, size: list[int], counts: str) -> None:
    body = "try { m.decodeMask(a); return ''; } catch (error) { return error.name; }"
    assert await module_value(page, "masks.js", body, {"size": size, "counts": counts}) == "RangeError"


async def test_a_track_keeps_its_colour_and_neighbours_differ(page: Page) -> None:
    colours = await module_value(
        page, "palette.js", "return a.map((id) => m.trackColour(id).line)", [1, 2, 3, 4, 5, 6, 7, 8, 1]
    )
    assert colours[0] == colours[-1]
    assert len(set(colours)) == 8


# A camera whose pictures have the given media times, stamped as the server does; each picture is shown 80 ms
# after its capture, and its result arrives 40 ms after. Says for each: [its index, its result's, how].
WATCH = """
  const matcher = new m.FrameMatcher(), said = [];
  const page_s = 1000;
  let next = 0;
  a.captured.forEach((captured_s, index) => {
    if (index === a.restart) matcher.restart();
    if (!a.dropped.includes(index)) {
      const published_s = captured_s + 0.03;
      const result = { frame_index: index, pts_s: a.pts[index], captured_s, published_s };
      matcher.add(result, published_s + page_s + 0.01);
    }
    while (next < index && a.captured[next] + 0.08 <= captured_s + 0.04) {
      const stamp = a.stamps[next] + (next >= a.restart ? 7777777 : 0);
      const receiveTime = (a.captured[next] + page_s + 0.02) * 1000;
      const metadata = { rtpTimestamp: stamp % 2 ** 32, receiveTime };
      for (const name of a.without) delete metadata[name];
      const { result, how } = matcher.match(metadata, 0);
      said.push([next, result?.frame_index ?? null, how]);
      next++;
    }
  });
  return said;
"""


def moved(index: int) -> int:
    """Ticks by which the server moves the stamp of a frame."""
    return ((index * index * 2654435761) & 0xFFFFFFFF) >> 26


async def watch(page: Page, pts: NDArray[np.float64], **more: object) -> list[tuple[int, int | None, str]]:
    stamps = [
        round(pts_s * 90_000) + moved(index) + 4_294_960_000 for index, pts_s in enumerate(pts.tolist())
    ]
    captured = (1_790_000_000 + pts).tolist()
    asked = {
        "pts": pts.tolist(),
        "captured": captured,
        "stamps": stamps,
        "dropped": [],
        "without": [],
        "restart": 10_000,
    }
    return [tuple(one) for one in await module_value(page, "sync.js", WATCH, asked | more)]


def uneven(count: int) -> NDArray[np.float64]:
    jitter = np.random.default_rng(3).uniform(-0.004, 0.004, count)
    return np.asarray(5 + np.arange(count) / 30 + jitter)


def even(count: int, fps: float = 30) -> NDArray[np.float64]:
    return np.asarray(5 + np.arange(count) / fps)


@pytest.mark.parametrize(
    "pts", [uneven(120), even(120), even(120, 29.97), even(120, 15)], ids=["uneven", "30", "29.97", "15"]
)
async def test_a_frame_is_matched_to_its_own_result(page: Page, pts: NDArray[np.float64]) -> None:
    said = await watch(page, pts)
    assert [how for _, _, how in said[-90:]] == ["exact"] * 90
    assert all(shown == drawn for shown, drawn, how in said if how == "exact")


async def test_a_server_that_does_not_move_its_stamps_is_matched_by_receive_time(page: Page) -> None:
    stamps = [round(pts_s * 90_000) for pts_s in even(120).tolist()]
    said = await watch(page, even(120), stamps=stamps)
    assert "exact" not in {how for _, _, how in said}
    assert all(abs(drawn - shown) <= 1 for shown, drawn, _ in said[30:])


async def test_frames_are_held_until_their_results_arrive(page: Page) -> None:
    body = """
      const matcher = new m.FrameMatcher();
      a.pts.forEach((pts_s, frame_index) => {
        const metadata = { rtpTimestamp: a.stamps[frame_index], receiveTime: (pts_s + 0.02) * 1000,
                           presentationTime: (pts_s + 0.1) * 1000 };
        matcher.add({ frame_index, pts_s, captured_s: pts_s, published_s: pts_s + 0.05 }, pts_s + a.result_s);
        matcher.match(metadata, 0);
      });
      return matcher.hold_s;
    """
    pts = even(100).tolist()
    stamps = [round(pts_s * 90_000) + moved(index) for index, pts_s in enumerate(pts)]
    for result_s, wanted_s in ((0.08, 0.06), (0.01, 0.0), (0.9, 0.3)):
        asked = {"pts": pts, "stamps": stamps, "result_s": result_s}
        assert await module_value(page, "sync.js", body, asked) == pytest.approx(wanted_s, abs=1e-3)


async def test_a_frame_shown_before_its_result_is_matched_later(page: Page) -> None:
    body = """
      const matcher = new m.FrameMatcher();
      const result = (frame_index, now_s) =>
        ({ frame_index, pts_s: a.pts[frame_index], captured_s: a.pts[frame_index], published_s: now_s });
      a.pts.forEach((now_s, shown) => {
        matcher.match({ rtpTimestamp: a.stamps[shown], receiveTime: now_s * 1000 }, 0);
        if (shown >= a.late) matcher.add(result(shown - a.late, now_s), now_s);
      });
      const last = a.pts.length - 1;
      matcher.add(result(last, a.pts[last]), a.pts[last]);
      const { result: own, how } = matcher.match({ rtpTimestamp: a.stamps[last] }, 0);
      return [own.frame_index, how];
    """
    pts = even(60).tolist()
    stamps = [round(pts_s * 90_000) + moved(index) for index, pts_s in enumerate(pts)]
    asked = {"pts": pts, "stamps": stamps, "late": 6}
    assert await module_value(page, "sync.js", body, asked) == [59, "exact"]


async def test_a_dropped_frame_is_matched_to_the_nearest_result(page: Page) -> None:
    dropped = list(range(50, 110, 5))
    said = await watch(page, uneven(120), dropped=dropped)
    assert all(abs(drawn - shown) == (1 if shown in dropped else 0) for shown, drawn, _ in said[-80:])
    assert {how for shown, _, how in said[-80:] if shown in dropped} == {"estimated"}


async def test_a_new_session_is_matched_anew(page: Page) -> None:
    said = await watch(page, uneven(160), restart=80)
    assert all(shown == drawn for shown, drawn, how in said if how == "exact")
    assert [how for _, _, how in said[-60:]] == ["exact"] * 60


async def test_without_rtp_time_the_receive_time_chooses(page: Page) -> None:
    said = await watch(page, uneven(120), without=["rtpTimestamp"])
    assert {how for _, _, how in said} == {"estimated"}
    assert all(abs(drawn - shown) <= 1 for shown, drawn, _ in said[30:])


async def test_without_any_time_the_newest_result_is_drawn(page: Page) -> None:
    said = await watch(page, uneven(60), without=["rtpTimestamp", "receiveTime"])
    assert {how for _, _, how in said} == {"newest"}
    assert all(drawn >= shown for shown, drawn, _ in said)


async def test_a_day_of_results_costs_no_more_than_a_second(page: Page) -> None:
    body = """
      const matcher = new m.FrameMatcher();
      for (let i = 0; i < a; i++) {
        const now_s = i / 1000;
        matcher.add({ frame_index: i, pts_s: now_s, captured_s: now_s, published_s: now_s }, now_s);
      }
      const far = matcher.match({ receiveTime: 1000 * (a / 1000 - 0.45) }, 0).result;
      return [matcher.newest().captured_s, far?.captured_s ?? null];
    """
    newest, far = await module_value(page, "sync.js", body, 100_000)
    assert newest == pytest.approx(99.999)
    assert far == pytest.approx(99.999 - 119 / 1000)


async def test_the_video_keeps_its_aspect_ratio_between_margins(page: Page) -> None:
    body = "return a.map((one) => m.fit(...one))"
    wide, tall = await module_value(page, "overlay.js", body, [[640, 360, 1000, 1000], [480, 640, 640, 360]])
    assert wide == {"scale": 1.5625, "left": 0, "top": 218.75}
    assert tall == {"scale": 0.5625, "left": 185, "top": 0}


async def test_labels_stay_within_the_frame_and_do_not_overlap(page: Page) -> None:
    chips = [
        {"x": 590, "y": -30, "width": 120},
        {"x": 540, "y": 4, "width": 120},
        {"x": 500, "y": 6, "width": 90},
    ]
    placed = await module_value(page, "overlay.js", "return m.placed(a, { width: 640, height: 360 })", chips)
    boxes = [(chip["x"], chip["y"], chip["x"] + chip["width"], chip["y"] + 20) for chip in placed]
    assert all(x0 >= 0 and y0 >= 0 and x1 <= 640 and y1 <= 360 for x0, y0, x1, y1 in boxes)
    for number, (ax0, ay0, ax1, ay1) in enumerate(boxes):
        for bx0, by0, bx1, by1 in boxes[:number]:
            assert ax0 >= bx1 or bx0 >= ax1 or ay0 >= by1 or by0 >= ay1


async def test_waiting_grows_and_stays_short(page: Page) -> None:
    waits = await module_value(
        page, "backoff.js", "return a.map((n) => m.delay_s(n, 0.5))", [0, 1, 2, 3, 4, 5, 6, 1000]
    )
    assert waits == sorted(waits)
    assert waits[0] <= 0.5
    assert waits[-1] == 5


async def test_events_are_described_in_words(page: Page) -> None:
    track = {"phrase": "the red circle", "state": "active"}
    event = {
        "schema": "saccade.event/1",
        "track_id": 3,
        "before": track,
        "after": track | {"state": "occluded"},
        "type": "update",
    }
    answer = {
        "schema": "saccade.answer/1",
        "text": "There is no such object.",
        "presence": None,
        "prompt_to_mask_s": None,
    }
    found = {
        "schema": "saccade.answer/1",
        "text": "Sure, [SEG].",
        "presence": 0.98,
        "prompt_to_mask_s": 0.2131,
    }
    messages = [
        event,
        event | {"type": "new", "before": None},
        event | {"type": "end", "after": None},
        answer,
        found,
        found | {"text": "Sure, [SEG] and [SEG].", "prompt_to_mask_s": None},
        found | {"text": "Sure, [SEG]. I cannot see the dog in this image.", "prompt_to_mask_s": None},
    ]
    assert await module_value(page, "notes.js", "return a.map(m.words)", messages) == [
        "#3 the red circle is occluded, was active",
        "#3 the red circle found",
        "#3 the red circle ended",
        "Answer: There is no such object.",
        "Answer: here it is · presence 98 % · mask after 213 ms",
        "Answer: here it is · presence 98 %",
        "Answer: I cannot see the dog in this image. · presence 98 %",
    ]
