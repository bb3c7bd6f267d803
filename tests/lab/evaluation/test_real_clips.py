"""Laws of following in real films."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lab.evaluation.real_clips import find_real_clips, score_real_clips
from streaming.errors import NotFound
from tests.colour_sam import ColourSam
from tests.doubles import square_image

DAVIS = Path(__file__).parents[4] / "shared/data/davis"


def write_film(folder: Path, *centres: int) -> None:
    """A red square at these places along x, and its masks."""
    for part in ("frames", "masks"):
        (folder / part).mkdir(parents=True)
    for index, x in enumerate(centres):
        picture = square_image((x, 24))
        mask = (picture[:, :, 0] > 150).astype(np.uint8) * 255
        # A JPEG file by its name; lossless, so that colours stay as they are.
        kept = cv2.imencode(".png", picture[:, :, ::-1])[1]
        (folder / "frames" / f"{index:05d}.jpg").write_bytes(kept.tobytes())
        cv2.imwrite(str(folder / "masks" / f"{index:05d}.png"), mask)


def test_what_moves_is_followed_and_its_copied_mask_stays_behind(tmp_path: Path) -> None:
    write_film(tmp_path / "right", 16, 20, 24, 28)
    write_film(tmp_path / "left", 40, 30, 20)
    score = score_real_clips(ColourSam().compiled(), find_real_clips(tmp_path))
    assert {name: film.frames for name, film in score.films.items()} == {"right": 4, "left": 3}
    assert all(film.j > 0.6 > film.j_copy for film in score.films.values())
    assert score.j == pytest.approx(np.mean([film.j for film in score.films.values()]))


def test_a_folder_without_films_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no films"):
        find_real_clips(tmp_path)


def test_a_picture_without_its_mask_is_said(tmp_path: Path) -> None:
    write_film(tmp_path / "one", 16, 20)
    (tmp_path / "one/masks/00001.png").unlink()
    with pytest.raises(NotFound, match="one has no mask"):
        find_real_clips(tmp_path)


def test_a_file_that_is_no_picture_is_said(tmp_path: Path) -> None:
    write_film(tmp_path / "one", 16, 20)
    (tmp_path / "one/frames/00001.jpg").write_text("no picture")
    with pytest.raises(NotFound, match=r"00001\.jpg"):
        score_real_clips(ColourSam().compiled(), find_real_clips(tmp_path))


@pytest.mark.skipif(not DAVIS.is_dir(), reason="../shared/data is not here")
def test_the_films_of_davis_are_found_and_read() -> None:
    films = find_real_clips(DAVIS)
    assert len(films) == 6
    picture, mask = next(films[0].read()), next(films[0].truth())
    assert picture.shape == (480, 854, 3) and mask.shape == (480, 854)
    assert 0 < mask.mean() < 0.5
