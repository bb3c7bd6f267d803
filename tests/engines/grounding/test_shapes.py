"""Laws of random checkpoints in published shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.grounding.checkpoints import Running, build, image_tokens, load_sa2va, to_published
from engines.grounding.grounder import SaGrounder
from engines.grounding.shapes import SA2VA_1B, word_tokenizer, write_random
from engines.grounding.templates import make_template
from engines.grounding.weights import hollow
from streaming.errors import Conflict
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, StreamId
from tests import published

TINY = published.internvl("Qwen2ForCausalLM")[0] | {"sam2_config": published.SAM}
TINY["llm_config"] |= {"vocab_size": 160}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("random") / "new"
    write_random(TINY, folder)
    return folder


def test_it_loads_in_bfloat16_and_answers(folder: Path) -> None:
    checkpoint = load_sa2va(folder, Running(dtype="bfloat16"))
    assert checkpoint.model.mllm.dtype == torch.bfloat16
    pixels = np.random.default_rng(0).integers(0, 255, (36, 64, 3), dtype=np.uint8)
    frame = Frame(StreamId("s"), 0, pixels, 0.0, 0.0, Clock.ARRIVAL)
    kinds = (QueryKind.REFER, QueryKind.DESCRIBE)
    queries = tuple(Query(QueryId(kind), StreamId("s"), "the red car", kind) for kind in kinds)
    answers = SaGrounder(checkpoint).ground(Keyframe(frame, queries, 0.0))
    assert all(np.isfinite(answer.logits).all() for answer in answers)


def test_its_parameters_are_counted_and_the_same_for_the_same_seed(folder: Path, tmp_path: Path) -> None:
    count = write_random(TINY, tmp_path / "again")
    tensors = to_published(load_sa2va(folder).model)
    again = to_published(load_sa2va(tmp_path / "again").model)
    assert count == sum(tensor.numel() for tensor in tensors.values())
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_a_checkpoint_is_not_written_over(folder: Path) -> None:
    before = (folder / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(Conflict):
        write_random(TINY, folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_the_shape_of_sa2va_1b_is_the_published_one() -> None:
    """Its parts by their published sizes: InternViT-300M, Qwen2.5-0.5B, SAM-2 large without its memory."""
    with hollow():
        model = build(SA2VA_1B, make_template(word_tokenizer(), image_tokens(SA2VA_1B)).image_id)

    def size(*prefixes: str) -> int:
        return sum(tensor.numel() for name, tensor in model.named_parameters() if name.startswith(prefixes))

    assert size("mllm.model.vision_tower.") == 304_012_288
    reader = size("mllm.model.language_model.")
    # 494,032,768 with a vocabulary of 151,936, whose head and embedding are one.
    assert reader == 494_032_768 - (151_936 - 151_679) * 896
    assert size("mllm.lm_head.") == 151_679 * 896
    assert 212_000_000 < size("segmenter.vision_encoder.") < 213_500_000
    assert image_tokens(SA2VA_1B) == 256


def test_a_word_is_a_token_and_the_answer_is_short() -> None:
    template = make_template(word_tokenizer(), 4)
    assert len(template.question("the red car")) - len(template.asked("")) == 9
    assert len(template.answer) == 5
