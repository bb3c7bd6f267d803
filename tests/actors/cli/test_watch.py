"""Tests of the display of `saccade watch`."""

import io

import pytest
from rich.console import Console

from actors.cli.watch import EVENTS_SHOWN, Board, print_lines, watch_stream
from streaming.errors import InvalidSettings, ServiceUnavailable
from tests.up import UNREACHABLE_PROXY

FRAME = {
    "schema": "saccade.frame/1",
    "frame_index": 7,
    "dropped": 2,
    "latency_s": {"total": 0.041},
    "tracks": [
        {
            "track_id": 3,
            "phrase": "the red circle",
            "state": "active",
            "score": 0.97,
            "box_px": [1, 2, 30, 40],
        }
    ],
}


def shown(board: Board) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(board.render())
    return console.export_text()


def test_the_board_waits_before_the_first_frame() -> None:
    assert "door: waiting" in shown(Board("door"))


def test_the_board_shows_tracks_age_and_dropped_frames() -> None:
    board = Board("door")
    board.update(FRAME)
    text = shown(board)
    assert "frame 7, 41 ms old, 2 dropped" in text
    assert "the red circle" in text and "1 2 30 40" in text


def test_the_board_shows_the_last_events_answers_and_errors() -> None:
    board = Board("door")
    after = {"phrase": "the red circle", "state": "active"}
    for number in range(20):
        board.update(
            {"schema": "saccade.event/1", "type": "new", "track_id": number, "before": None, "after": after}
        )
    board.update({"schema": "saccade.answer/1", "text": "I cannot see it."})
    board.update({"schema": "saccade.error/1", "message": "No picture for 3 s."})
    text = shown(board)
    assert "I cannot see it." in text and "No picture for 3 s." in text
    assert text.count("new") == EVENTS_SHOWN - 2


async def test_without_a_service_the_error_says_how_to_start_one() -> None:
    with pytest.raises(ServiceUnavailable, match="saccade up"):
        await watch_stream("http://127.0.0.1:1", None, "door", print_lines)


async def test_a_proxy_of_the_environment_is_not_for_this_machine_and_named_where_it_is_useless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (UNREACHABLE_PROXY | {"ALL_PROXY": "socks5://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.delenv("http_proxy")
    with pytest.raises(ServiceUnavailable, match="No service answers"):
        await watch_stream("http://127.0.0.1:1", None, "door", print_lines)
    monkeypatch.setenv("SOCKS_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(InvalidSettings, match="cannot be used"):
        await watch_stream("http://192.0.2.1:1", None, "door", print_lines)
