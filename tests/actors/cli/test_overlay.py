"""Tests of drawing tracks on frames."""

import numpy as np
import pytest
from pycocotools import mask as coco

from actors.cli.overlay import colour_of, draw, drawable
from streaming.vocabulary import MaskRle, QueryId, Track, TrackId, TrackState

SIZE = (60, 80)


def track(track_id: int, *, state: TrackState = TrackState.ACTIVE) -> tuple[Track, np.ndarray]:
    mask = np.zeros(SIZE, bool)
    mask[20:40, 30:50] = True
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    size = (int(rle["size"][0]), int(rle["size"][1]))
    return (
        Track(
            TrackId(track_id),
            QueryId("q"),
            1,
            "the red circle",
            state,
            0.9,
            (30, 20, 50, 40),
            MaskRle(size, rle["counts"].decode()),
            0,
        ),
        mask,
    )


def test_the_mask_is_tinted_and_other_pixels_are_unchanged() -> None:
    drawn, _ = track(1)
    image = draw(np.full((*SIZE, 3), 100, np.uint8), [drawn])
    blue = image[30, 40].astype(int) - 100
    assert np.sign(blue).tolist() == np.sign(np.array(colour_of(1)) - 100).tolist()
    assert (image[50:, :] == 100).all()


def test_an_ended_track_is_not_drawn() -> None:
    ended, _ = track(1, state=TrackState.ENDED)
    before = np.full((*SIZE, 3), 100, np.uint8)
    assert (draw(before, [ended]) == before).all()


def test_the_input_is_not_changed() -> None:
    before = np.full((*SIZE, 3), 100, np.uint8)
    draw(before, [track(1)[0]])
    assert (before == 100).all()


def test_seven_consecutive_tracks_have_distinct_colours() -> None:
    assert len({colour_of(track_id) for track_id in range(1, 8)}) == 7


@pytest.mark.parametrize(
    ("phrase", "shown"),
    [
        ("the red car", "the red car"),
        ("the black café table", "the black cafe table"),
        ("the dog’s “ball” 🐕", "the dogs ball"),
        ("красная машина", ""),
        ("the 犬", ""),
        ("लाल कार", ""),
        ("السيارة", ""),
        ("der große Hund", ""),
        ("🚗", ""),
    ],
)
def test_a_label_has_the_words_or_none_but_never_question_marks(phrase: str, shown: str) -> None:
    assert drawable(phrase) == shown
