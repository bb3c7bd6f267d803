"""Results on the page: masks, objects, events, numbers."""

from __future__ import annotations

import asyncio
import re
import time

import numpy as np
import pytest
from playwright.async_api import Browser, expect

from streaming import wire
from streaming.events import AnswerReport, ErrorReport, PartialAnswerReport, events_between
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader
from streaming.vocabulary import FrameResult, QueryId, QueryKind, TrackState
from tests.browser import Watched, module_value, opened
from tests.page import SIZE, TOKEN, Service, circle, pixel, track

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_mask_is_drawn_on_its_object_in_its_colour(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("drawn")
    await service.draw(page, stream_id, [track(2, circle(160, 90, 60))])
    box = await page.locator("#overlay").bounding_box()
    assert box is not None
    scale = box["width"] / SIZE[1]
    inside = await pixel(page, 160 * scale, 90 * scale)
    colour = await module_value(page, "palette.js", "return m.trackColour(2).line")
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    assert np.allclose(inside[:3], wanted, atol=6)
    assert 70 < inside[3] < 110
    assert await pixel(page, (160 + 70) * scale, 90 * scale) == [0, 0, 0, 0]
    edge = await pixel(page, (160 + 60) * scale - 1, 90.5 * scale)
    assert edge[3] > 200


@pytest.mark.parametrize(("size", "ratio"), [((480, 360), 1.0), ((240, 640), 2.0)])
async def test_masks_lie_right_under_margins_and_any_pixel_ratio(
    browser: Browser, service: Service, size: tuple[int, int], ratio: float
) -> None:
    stream_id = await service.live_stream(f"fit.{size[0]}", size)
    async with opened(browser, f"{service.url}/#token={TOKEN}", device_scale_factor=ratio) as watched:
        page = watched.page
        mask = np.zeros(size, bool)
        mask[:40, :40] = mask[-40:, -40:] = True
        await page.get_by_text("Labels", exact=True).click()
        await service.draw(page, stream_id, [track(1, mask)], size)
        for box_px in ((1280, 800), (390, 844)):
            await page.set_viewport_size({"width": box_px[0], "height": box_px[1]})
            await asyncio.sleep(0.2)
            box = await page.locator("#overlay").bounding_box()
            assert box is not None
            scale = min(box["width"] / size[1], box["height"] / size[0])
            left, top = (box["width"] - scale * size[1]) / 2, (box["height"] - scale * size[0]) / 2
            for x, y, covered in ((20, 34, True), (60, 34, False), (size[1] - 20, size[0] - 34, True)):
                assert bool((await pixel(page, left + x * scale, top + y * scale))[3]) is covered, (
                    box_px,
                    x,
                    y,
                )


async def test_masks_labels_and_boxes_can_be_hidden(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("toggles")
    await service.draw(page, stream_id, [track(1, circle(320, 180, 60))])
    painted = """() => {
      const canvas = document.getElementById("overlay");
      const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return all.data.some(Boolean);
    }"""
    assert await page.evaluate(painted)
    for name in ("Masks", "Labels"):
        await page.get_by_text(name, exact=True).click()
    assert not await page.evaluate(painted)
    await page.get_by_text("Boxes", exact=True).click()
    assert await page.evaluate(painted)


async def test_objects_without_a_mask_are_listed_dimmed(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("objects")
    lost = track(4, None, "the blue square", TrackState.LOST)
    await service.draw(page, stream_id, [track(3, circle(100, 100, 30)), lost])
    rows = page.locator("#tracks > li")
    await expect(rows.nth(0)).to_contain_text(re.compile(r"#3 the red circle\s*active\s*score 0\.93"))
    await expect(rows.nth(1)).to_contain_text(re.compile(r"#4 the blue square\s*lost"))
    await expect(rows.nth(1)).to_have_attribute("data-dim", "true")


async def test_events_come_newest_first_and_at_most_a_hundred_stay(
    service: Service, watched: Watched
) -> None:
    page = watched.page
    stream_id = await service.live_stream("events")
    await service.draw(page, stream_id, [])
    for number in range(130):
        for event in events_between([], [track(number + 1, None)], stream_id, time.time()):
            service.writer.publish_note(event)
        if number % 40 == 0:
            await asyncio.sleep(0.2)
    now_s = time.time()
    service.writer.publish_note(
        AnswerReport(stream_id, QueryId("q1"), 1, 5, "There is no such object.", None, now_s)
    )
    service.writer.publish_note(
        ErrorReport(stream_id, "source_stalled", "No picture for 3 s.", "Check it.", now_s)
    )
    rows = page.locator("#events > li")
    await expect(page.locator("#events")).to_contain_text("Answer: There is no such object.")
    await expect(page.locator("#events")).to_contain_text("No picture for 3 s. Check it.")
    await expect(rows).to_have_count(100)
    await expect(page.locator("#events")).not_to_contain_text("#20 the red circle")


async def test_an_answer_is_shown_while_it_is_generated(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("saying")
    query_id = await service.query(stream_id, "how many cups are there?")
    await service.draw(page, stream_id, [])

    def say(revision: int, text: str) -> None:
        service.writer.publish_note(PartialAnswerReport(stream_id, query_id, revision, 5, text, time.time()))

    row = page.locator("#queries > li")
    say(1, "There are")
    await expect(row.locator("q")).to_have_text("There are")
    await expect(row.locator("[data-part=state]")).to_have_text("saying…")
    say(1, "There are two cups")
    await expect(row.locator("q")).to_have_text("There are two cups")
    say(7, "Of other words")
    await expect(row.locator("q")).to_have_text("")
    service.writer.publish_note(
        AnswerReport(stream_id, query_id, 1, 5, "There are two cups.", None, time.time())
    )
    await service.answer(query_id, "There are two cups.", 0.9)
    await expect(row.locator("q")).to_have_text("There are two cups.")
    await expect(row.locator("[data-part=state]")).not_to_have_text("saying…")
    await expect(page.locator("#events > li")).to_have_count(1)


async def test_a_question_is_about_the_clicked_region(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("pointed")
    await service.draw(page, stream_id, [])
    box = await page.locator("#stage").bounding_box()
    assert box is not None
    await page.locator("#stage").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await expect(page.locator("#pointed")).to_be_visible()
    await expect(page.locator("#query-text")).to_have_value("What is this?")
    await page.locator("#query-add").click()
    await expect(page.locator("#queries > li")).to_contain_text("where you pointed")
    await expect(page.locator("#pointed")).to_be_hidden()
    (status,) = await service.control.list_queries(stream_id)
    assert (status.query.kind, status.query.text) == (QueryKind.ASK, "What is this?")
    assert status.query.region == pytest.approx((0.5, 0.5, 0.5, 0.5), abs=0.02)


async def test_a_marked_region_can_be_cleared(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("forgotten")
    await service.draw(page, stream_id, [])
    await page.locator("#stage").click()
    await page.locator("#pointed-forget").click()
    await expect(page.locator("#pointed-mark")).to_be_hidden()
    await page.locator("#query-add").click()
    await expect(page.locator("#queries > li")).to_have_count(1)
    (status,) = await service.control.list_queries(stream_id)
    assert status.query.region is None


async def test_words_from_outside_are_text_and_nothing_else(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("escaped")
    evil = "<img src=x onerror=document.title=1>"
    await service.query(stream_id, evil)
    await service.draw(page, stream_id, [track(1, circle(100, 100, 30), evil)])
    await expect(page.locator("#tracks")).to_contain_text(evil)
    await expect(page.locator("#queries input")).to_have_value(evil)
    assert await page.title() == "Saccade"
    assert await page.locator("main img").count() == 0


async def test_frame_age_and_its_curve_follow_the_results(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("ages")
    for _ in range(6):
        await service.draw(page, stream_id, [])
    await expect(page.locator("#n-age")).to_have_text(re.compile(r"^\d+ / \d+ ms$"))
    reader = ResultReader(service.redis_url)
    published = await reader.latest(stream_id, Channel.FRAMES, 100)
    await reader.close()
    ages_ms = [1000 * wire.decode(FrameResult, each.data).latency_s.total for each in published]
    p50_ms, p95_ms = map(int, re.findall(r"\d+", await page.inner_text("#n-age")))
    assert 30 <= round(min(ages_ms)) <= p50_ms <= p95_ms <= round(max(ages_ms))
    six_points = re.compile(r"^(\S+ ){5,}\S+$")
    await expect(page.locator("#spark polyline")).to_have_attribute("points", six_points)


async def test_a_hidden_tab_draws_nothing(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("hidden")
    await service.draw(page, stream_id, [track(1, circle(100, 100, 30))])
    await page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    before = await page.get_attribute("#overlay", "data-frame")
    for _ in range(5):
        service.publish(stream_id, [track(1, circle(200, 100, 30))])
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert await page.get_attribute("#overlay", "data-frame") == before
    await page.evaluate("delete document.hidden")
    await service.draw(page, stream_id, [])
