"""The page in a real browser: streams, queries, the token, accessibility."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from streaming.vocabulary import QueryKind, StreamId, StreamSpec
from tests.browser import Watched, opened
from tests.page import TOKEN, Service, circle, track

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_streams_are_listed_with_their_state(service: Service, watched: Watched) -> None:
    await service.live_stream("list.live")
    await service.control.add_stream(StreamSpec(StreamId("list.new"), "rtsp://camera.example/2"))
    rows = watched.page.locator("#streams > li")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text(re.compile(r"list\.live\s*live\s*25 fps · age 40 ms"))
    await expect(rows.nth(1)).to_contain_text("starting")
    await expect(watched.page.locator("#n-fps")).to_have_text("25.0")


async def test_a_stream_is_added_by_hand_and_chosen(service: Service, watched: Watched) -> None:
    page = watched.page
    await expect(page.locator("#streams-empty")).to_be_visible()
    await page.fill("#stream-id", "door")
    await page.fill("#stream-url", "rtsp://camera.example/1")
    await page.press("#stream-url", "Enter")
    await expect(page.locator("#streams > li[aria-current=true]")).to_contain_text("door")
    await expect(page.locator("#stage-name")).to_have_text("door")
    assert [one.stream_id for one in await service.control.list_streams()] == ["door"]


async def test_a_stream_that_is_not_live_shows_the_reason(service: Service, watched: Watched) -> None:
    await service.control.add_stream(StreamSpec(StreamId("waiting"), "rtsp://camera.example/1"))
    await service.poll_now()
    await expect(watched.page.locator("#stage-note")).to_have_text("The stream is starting.")


async def test_a_refusal_is_shown_with_its_remedy(watched: Watched) -> None:
    page = watched.page
    await page.fill("#stream-id", "inside")
    await page.fill("#stream-url", "rtsp://10.0.0.1/1")
    await page.press("#stream-url", "Enter")
    await expect(page.locator("#trouble")).to_have_text(
        re.compile(r"This address may not be reached\. 10\.0\.0\.0/8 is private\. Add it to allowed_hosts\.")
    )
    await expect(page.locator("#stream-url")).to_have_value("rtsp://10.0.0.1/1")
    await page.click("#trouble-close")
    await expect(page.locator("#trouble")).to_be_hidden()


async def test_a_stream_is_removed_only_after_a_yes(service: Service, watched: Watched) -> None:
    page = watched.page
    await service.live_stream("leaving")
    await page.get_by_label("Remove stream leaving").click()
    await page.click("#remove-dialog >> text=Keep it")
    assert len(await service.control.list_streams()) == 1
    await page.get_by_label("Remove stream leaving").click()
    await page.click("#remove-dialog .danger")
    await expect(page.locator("#streams > li")).to_have_count(0)
    assert await service.control.list_streams() == []


async def test_the_chosen_stream_is_in_the_address_and_survives_a_reload(
    service: Service, watched: Watched
) -> None:
    page = watched.page
    for name in ("reload.a", "reload.b"):
        await service.live_stream(name)
    await page.get_by_role("button", name="reload.b").first.click()
    await page.reload()
    await expect(page.locator("#stage-name")).to_have_text("reload.b")


# --- queries


async def test_enter_asks_and_an_edit_keeps_the_id(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("asked")
    await expect(page.locator("#stage-name")).to_have_text("asked")
    await page.fill("#query-text", "the red circle")
    await page.press("#query-text", "Enter")
    field = page.locator("#queries input")
    await expect(field).to_have_value("the red circle")
    await expect(page.locator("#query-text")).to_have_value("")
    (first,) = await service.control.list_queries(stream_id)

    await field.fill("the blue square")
    await expect(page.locator("#queries >> text=Save")).to_be_visible()
    await field.press("Enter")
    await expect(page.locator("#queries >> text=Save")).to_be_hidden()
    (second,) = await service.control.list_queries(stream_id)
    assert (second.query.query_id, second.query.text, second.query.revision) == (
        first.query.query_id,
        "the blue square",
        2,
    )

    await page.get_by_label("Remove query the blue square").click()
    await expect(page.locator("#queries > li")).to_have_count(0)
    assert await service.control.list_queries(stream_id) == []


async def test_a_draft_is_not_overwritten_and_escape_gives_it_up(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("draft")
    query_id = await service.query(stream_id, "the red circle")
    field = page.locator("#queries input").first
    await expect(field).to_have_value("the red circle")
    await field.fill("the red cir")
    await service.control.edit_query(query_id, "the green ring")
    await service.control.add_query(stream_id, "the sign that the page has looked", QueryKind.REFER)
    await service.poll_now()
    await expect(page.locator("#queries input")).to_have_count(2)
    await expect(field).to_have_value("the red cir")
    await field.press("Escape")
    await expect(field).to_have_value("the green ring")


async def test_a_query_shows_its_answer_and_state(service: Service, watched: Watched) -> None:
    stream_id = await service.live_stream("told")
    query_id = await service.query(stream_id, "the red circle")
    await service.answer(query_id, "Sure, [SEG].", 0.98)
    row = watched.page.locator("#queries > li")
    await expect(row).to_contain_text(re.compile(r"following\s*in 200 ms\s*98 % sure"))
    await expect(row.locator("q")).to_be_hidden()
    await expect(watched.page.locator("#n-prompt")).to_have_text("200 ms")
    await service.answer(query_id, "There is no such object.", 0.02)
    await expect(row.locator("q")).to_have_text("There is no such object.")


async def test_an_example_asks_at_a_click(service: Service, watched: Watched) -> None:
    stream_id = await service.live_stream("example")
    await expect(watched.page.locator("#stage-name")).to_have_text("example")
    await watched.page.click("#examples button >> nth=1")
    await expect(watched.page.locator("#queries input")).to_have_value("the blue square")
    assert len(await service.control.list_queries(stream_id)) == 1


async def test_an_impatient_second_enter_asks_nothing_more(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("impatient")
    await expect(page.locator("#stage-name")).to_have_text("impatient")
    await page.fill("#query-text", "the red circle")
    await page.evaluate("for (let i = 0; i < 3; i++) document.getElementById('query-form').requestSubmit()")
    await expect(page.locator("#queries input")).to_have_value("the red circle")
    assert len(await service.control.list_queries(stream_id)) == 1


async def test_a_query_that_cannot_be_asked_stays_in_the_box(service: Service, watched: Watched) -> None:
    page = watched.page
    await service.live_stream("long")
    await expect(page.locator("#stage-name")).to_have_text("long")
    await page.fill("#query-text", "very " * 200)
    await page.press("#query-text", "Enter")
    await expect(page.locator("#trouble")).to_contain_text("at most 500 are taken")
    assert (await page.input_value("#query-text")).startswith("very very")


async def test_the_token_leaves_the_address_bar_at_once(watched: Watched) -> None:
    assert "token" not in watched.page.url
    assert await watched.page.evaluate("sessionStorage.getItem('saccade.token')") == TOKEN
    assert await watched.page.evaluate("localStorage.length") == 0


async def test_without_a_token_the_page_shows_and_asks_before_it_changes(
    browser: Browser, service: Service
) -> None:
    stream_id = await service.live_stream("tokenless")
    async with opened(browser, service.url) as watched:
        page = watched.page
        await expect(page.locator("#stage-name")).to_have_text("tokenless")
        await page.fill("#query-text", "the red circle")
        await page.press("#query-text", "Enter")
        await page.fill("#token-field", "wrong-token-wrong-token")
        await page.press("#token-field", "Enter")
        await expect(page.locator("#token-dialog")).to_be_visible()
        await page.fill("#token-field", TOKEN)
        await page.click("#token-dialog >> text=Use it")
        await expect(page.locator("#queries input")).to_have_value("the red circle")
        assert len(await service.control.list_queries(stream_id)) == 1


async def test_closing_the_token_dialog_tells_why_nothing_happened(
    browser: Browser, service: Service
) -> None:
    await service.live_stream("refused")
    async with opened(browser, service.url) as watched:
        page = watched.page
        await expect(page.locator("#stage-name")).to_have_text("refused")
        await page.fill("#query-text", "the red circle")
        await page.press("#query-text", "Enter")
        await page.click("#token-dialog >> text=Cancel")
        await expect(page.locator("#trouble")).to_contain_text("A token is needed.")
        await expect(page.locator("#query-text")).to_have_value("the red circle")


async def test_the_page_finds_its_way_back_after_the_gateway_was_away(
    service: Service, watched: Watched
) -> None:
    page = watched.page
    stream_id = await service.live_stream("away")
    await service.draw(page, stream_id, [])
    await service.gateway.stop()
    await expect(page.locator("#service")).to_have_text("no connection", timeout=8000)
    await service.gateway.start()
    await expect(page.locator("#service")).to_have_text("connected", timeout=8000)
    await service.draw(page, stream_id, [track(1, circle(100, 100, 30))])


async def test_nothing_is_asked_of_any_other_host(service: Service, watched: Watched) -> None:
    stream_id = await service.live_stream("alone")
    await service.draw(watched.page, stream_id, [track(1, circle(100, 100, 30))])
    assert {request.url.split("/")[2] for request in watched.requests} == {service.url.split("/")[2]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_its_ground(browser: Browser, service: Service, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text on the page."""
    stream_id = await service.live_stream("contrast")
    await service.control.add_stream(StreamSpec(StreamId("contrast.new"), "rtsp://camera.example/2"))
    await service.query(stream_id, "the red circle")
    async with opened(
        browser, f"{service.url}/#token={TOKEN}", color_scheme=scheme, reduced_motion="reduce"
    ) as watched:
        await service.draw(watched.page, stream_id, [track(1, circle(100, 100, 30))])
        await watched.page.wait_for_timeout(400)
        poor = await watched.page.evaluate(POOR_CONTRAST)
    assert poor == []


@pytest.mark.parametrize("viewport", [(1280, 800), (820, 1180), (390, 844), (320, 640)])
async def test_no_screen_has_to_be_scrolled_sideways(
    browser: Browser, service: Service, viewport: tuple[int, int]
) -> None:
    stream_id = await service.live_stream("a-stream-with-a-rather-long-name-for-a-small-screen")
    await service.query(stream_id, "the red circle " * 8)
    size = {"width": viewport[0], "height": viewport[1]}
    async with opened(browser, f"{service.url}/#token={TOKEN}", viewport=size) as watched:
        await service.draw(watched.page, stream_id, [track(1, circle(100, 100, 30))])
        assert await watched.page.evaluate("document.documentElement.scrollWidth") == viewport[0]


async def test_every_control_has_a_name_and_is_reached_by_tab(service: Service, watched: Watched) -> None:
    page = watched.page
    stream_id = await service.live_stream("named")
    await service.query(stream_id, "the red circle")
    await expect(page.locator("#queries input")).to_have_value("the red circle")
    named = "e => (e.labels?.[0] ?? e).textContent.trim() || e.ariaLabel || e.title"
    for control in await page.locator("main :is(button, input, select, summary):visible").all():
        assert await control.evaluate(named), await control.evaluate("e => e.outerHTML")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "query-text"


POOR_CONTRAST = """() => {
  const channels = (colour) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour[3] > 160) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || element.className === "unseen" || element.disabled) continue;
    if (!element.checkVisibility({ opacityProperty: true })) continue;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.outerHTML}`);
  }
  return poor;
}"""
