"""Quality of live streams, through the whole service."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.evaluation.live import score_live
from lab.evaluation.live_clips import ABSENT, PRESENT, WINDOWS, draw_live_clips
from lab.training.world.levels import NANO_LEVEL
from streaming.settings import Settings
from tests.servers import go2rtc
from tests.up import CACHE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


async def test_masks_of_a_live_clip_lie_on_the_current_frame(tmp_path: Path) -> None:
    go2rtc()
    advanced = []
    score = await score_live(
        Settings(cache_dir=CACHE), draw_live_clips(1, NANO_LEVEL, tmp_path), lambda: advanced.append(1)
    )
    assert (score.clips, len(advanced)) == (1, 1)
    assert score.words == len(WINDOWS) * (PRESENT + ABSENT)
    assert score.prompt_to_mask_p50_s is not None and score.prompt_to_mask_p50_s > 0
    assert score.overall.cases > 30
    # Low, since tests run in parallel: frames are dropped and answers are late.
    assert score.overall.j_and_f > 0.25
    assert score.j_own_picture > 0.25
