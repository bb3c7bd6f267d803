"""Laws of random views of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.training.language.expressions import generate_expressions
from lab.training.language.real_names import canonical
from lab.training.world.photo_samples import PhotoSampler, load_sampler
from lab.training.world.photographs import load_photographs
from streaming.errors import NotFound
from tests.photo_folder import SIZE, edit_annotations, write_photo_folder

REAL = Path(__file__).parents[4].parent / "shared" / "data" / "real"
NO_REAL = "needs ../shared/data/real"


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> PhotoSampler:
    folder = write_photo_folder(tmp_path_factory.mktemp("photos"), images=8)
    return PhotoSampler(load_photographs(folder, "train"))


def test_a_view_is_a_function_of_the_seed(sampler: PhotoSampler) -> None:
    one, again, other = (sampler.draw(seed, 96) for seed in (3, 3, 4))
    assert np.array_equal(one.frames, again.frames) and np.array_equal(one.masks, again.masks)
    assert one.vocabulary == again.vocabulary
    assert not np.array_equal(one.frames, other.frames)


def test_views_are_square_and_show_what_can_be_named(sampler: PhotoSampler) -> None:
    pairs = 0
    for seed in range(24):
        view = sampler.draw(seed, 96)
        assert view.frames.shape == (1, 96, 96, 3) and view.frames.dtype == np.uint8
        assert view.masks.shape == (1, len(view.labels), 96, 96)
        assert generate_expressions(view, 0, np.random.default_rng(seed))
        pairs += len(view.labels) > 2
    assert 0 < pairs < 20


def test_whole_photographs_and_pairs_are_not_changed(sampler: PhotoSampler) -> None:
    photograph, other = sampler.photographs[1:3]
    whole = sampler.whole(photograph, np.random.default_rng(0))
    assert whole is not None and np.array_equal(whole.frames[0], photograph.read())
    assert {"dog", "cup"} & set(whole.vocabulary.categories)
    pair = sampler.pair(photograph, other, np.random.default_rng(0))
    assert pair is not None and pair.frames.shape == (1, SIZE[0], 2 * SIZE[1], 3)


def test_photographs_without_named_objects_are_an_error(tmp_path: Path) -> None:
    def rename(data: dict[str, Any]) -> None:
        data["categories"] = [{"id": 18, "name": "skin"}, {"id": 47, "name": "accessories"}]

    folder = write_photo_folder(tmp_path)
    edit_annotations(folder, rename)
    with pytest.raises(NotFound):
        load_sampler(folder, "train")


def test_a_folder_without_photographs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_sampler(tmp_path, "train")


@pytest.mark.skipif(not REAL.is_dir(), reason=NO_REAL)
def test_views_of_real_photographs_name_only_what_is_annotated() -> None:
    sampler = load_sampler(REAL, "val")
    texts = 0
    for seed in range(12):
        view = sampler.draw(seed, 128)
        for expression in generate_expressions(view, 0, np.random.default_rng(seed)):
            texts += 1
            for index in expression.referents:
                assert view.masks[0, index].any()
                assert canonical(view.labels[index].category) == view.labels[index].category
                assert view.labels[index].category not in view.doubted
    assert texts > 50
