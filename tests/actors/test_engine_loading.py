"""Engines loaded from settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.engine_loading import load_compiled, load_grounder, load_trackers
from engines.backends import parity_check
from engines.backends.graph import Backend, Program
from engines.backends.openvino import OpenVinoBackend
from engines.backends.parity_check import ReferenceCall
from streaming.errors import BackendUnavailable, NotFound
from streaming.settings import Settings
from streaming.vocabulary import Keyframe, Query, QueryId, StreamId
from tests.doubles import frame_of, square_image


def test_nano_answers_every_query_of_a_keyframe(tmp_path: Path) -> None:
    grounder = load_grounder(Settings(state_dir=tmp_path))
    queries = tuple(Query(QueryId(word), StreamId("s"), word) for word in ("the red square", "the jacket"))
    answers = grounder.ground(Keyframe(frame_of(square_image((30, 24)), 0), queries, 0.0))
    assert [answer.query_id for answer in answers] == ["the red square", "the jacket"]
    assert all(answer.text for answer in answers)


def test_a_grounder_has_the_dtype_and_device_of_the_settings(tmp_path: Path) -> None:
    """nano in bfloat16 answers; an unknown device raises."""
    grounder = load_grounder(Settings(state_dir=tmp_path, model_dtype="bfloat16"))
    query = Query(QueryId("q"), StreamId("s"), "the red square")
    (answer,) = grounder.ground(Keyframe(frame_of(square_image((30, 24)), 0), (query,), 0.0))
    assert answer.text
    with pytest.raises(BackendUnavailable, match="toaster"):
        load_grounder(Settings(state_dir=tmp_path, model_device="toaster"))


def test_trackers_of_one_load_have_separate_memories(tmp_path: Path) -> None:
    make = load_trackers(Settings(state_dir=tmp_path, backend="torch"))
    first, second = make(), make()
    frame = frame_of(square_image((30, 24)), 0)
    first.step(frame)
    first.pin(0)
    assert first.step(frame_of(square_image((31, 24)), 1)) == []
    assert second.step(frame) == []


def test_the_tracker_image_size_is_the_setting(tmp_path: Path) -> None:
    compiled = load_compiled(Settings(state_dir=tmp_path, backend="torch", tracker_px=128))
    assert (compiled.shape.side_px, compiled.shape.feature_px) == (128, 8)


def bfloat16_is_wrong(backend: Backend, program: Program, call: ReferenceCall) -> dict[str, float]:
    if backend.compute_precision != "float32":
        raise BackendUnavailable("wrong on this machine")
    return {}


@pytest.fixture
def wrong_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where OpenVINO is offered bfloat16 and computes it wrong."""
    monkeypatch.setattr(parity_check, "require_parity", bfloat16_is_wrong)
    monkeypatch.setattr(OpenVinoBackend, "_float_precision", property(offered_precision))


def offered_precision(backend: OpenVinoBackend) -> str:
    return "bfloat16" if backend.precision == "auto" else backend.precision


@pytest.mark.usefixtures("wrong_bfloat16")
def test_where_the_faster_precision_is_wrong_the_tracker_runs_in_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path / "compiled", backend="openvino")
    for _ in range(2):  # what the first start stored does not vouch for bfloat16 at the second
        caplog.clear()
        assert load_compiled(settings).backend == "openvino"
        assert "float32 instead" in caplog.text


@pytest.mark.usefixtures("wrong_bfloat16")
def test_a_precision_that_was_asked_for_and_is_wrong_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="wrong on this machine"):
        load_compiled(
            Settings(state_dir=tmp_path, cache_dir=tmp_path, backend="openvino", tracker_precision="bfloat16")
        )


@pytest.mark.parametrize("setting", ["model", "tracker"])
def test_a_missing_checkpoint_raises_with_its_path(setting: str, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, **{setting: str(tmp_path / "nowhere")})
    load = load_grounder if setting == "model" else load_trackers
    with pytest.raises(NotFound, match="nowhere"):
        load(settings)
