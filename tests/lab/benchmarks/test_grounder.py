"""The grounder's benchmark: compared ways give the same answer, and all requested rows are measured."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from engines.grounding.grounder import SaGrounder
from engines.grounding.keyframe_features import KeyframeFeatures
from lab.benchmarks import grounder as bench
from lab.benchmarks.grounder import bench_grounder
from lab.training.tokenizer import nano_tokenizer
from streaming.errors import NotFound
from tests import published


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    published.write("internvl-qwen2", folder)
    return folder


def test_every_number_of_queries_is_timed_both_ways(folder: Path) -> None:
    report = bench_grounder(str(folder), (1, 3), repeats=2)
    assert [row.part for row in report.answers] == ["words", "keyframe"]
    assert [row.queries for row in report.sharing] == [1, 3]
    assert [row.streams for row in report.streams] == [bench.STREAMS]
    assert all(row.alone_ms > 0 and row.together_ms > 0 for row in report.streams)
    assert all(row.said_ms > 0 and row.given_ms > 0 for row in report.answers)
    assert all(row.alone_ms > 0 and row.shared_ms > 0 for row in report.sharing)
    assert (report.dtype, report.device, report.repeats) == ("float32", "cpu", 2)
    assert report.parameters == sum(weight.numel() for weight in load_sa2va(folder).model.parameters())
    assert json.loads(json.dumps(asdict(report)))["answer_tokens"] == report.answer_tokens


def test_compared_ways_give_the_same_states_and_masks(folder: Path) -> None:
    """Otherwise the faster way might just do less."""
    checkpoint, keyframe = load_sa2va(folder), bench._keyframe(1)
    question = checkpoint.template.segment_question(keyframe.queries[0].text)
    prefix = KeyframeFeatures(checkpoint, keyframe).prefix(past=False)
    generated = bench._generate(checkpoint, prefix, question)
    forced = prefix.prefill([[*question, *checkpoint.template.answer]]).hidden[0, len(question) : -1]
    torch.testing.assert_close(generated, forced, atol=1e-4, rtol=0)
    always_present = type(checkpoint)(
        checkpoint.model, checkpoint.template, {**checkpoint.config, "presence_threshold": 0.0}
    )
    (answer,) = SaGrounder(always_present).ground(keyframe)
    expected = bench._generate_mask(always_present, keyframe, question).numpy()
    assert answer.logits.shape == (0, *expected.shape[1:]) or abs(answer.logits - expected).max() < 1e-3


def test_runs_alternate_and_the_warm_up_is_not_counted() -> None:
    ran: list[str] = []
    times_s = bench._time_alternately({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, 2)
    assert "".join(ran) == "baabba"
    assert times_s.keys() == {"a", "b"}


def test_queries_differ_and_are_in_nanos_vocabulary() -> None:
    texts = [query.text for query in bench._keyframe(16).queries]
    assert len(set(texts)) == 16
    unknown = nano_tokenizer().token_to_id("<unk>")
    assert not [text for text in texts if unknown in nano_tokenizer().encode(text).ids]


def test_a_missing_model_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        bench_grounder(str(tmp_path / "none"))
