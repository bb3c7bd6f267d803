"""How nano's grounder is trained from scratch on drawn pictures.

Two stages. `grounding`: the language model learns to see, look, point and speak; SAM-2 is not there yet.
`decoder`: SAM-2 joins, from scratch, and learns to draw what `[SEG]` points at, the language model following
at a lower rate. The learning rate follows the share of the budget spent.

Seeds are `(number * 10**6 + step) * pictures + i`: a session that resumes counts its number up, so that it
draws no picture again; runs whose numbers are far apart share none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import Sam2Model

from engines.grounding.checkpoints import Sa2Va, build, image_tokens, save_sa2va
from engines.grounding.model import SaModel
from engines.grounding.templates import Template, make_template
from engines.training.checkpoint import Progress, Stateful
from engines.training.course import Course, Figures, Run, Tell
from engines.training.device import mixed_precision, to_device, training_device
from engines.training.feeding import feed, painters_for
from engines.training.losses import Helpers, Lesson, drawing_lesson, placing_loss, reading_lesson
from engines.training.mixture import Batch, draw_batch, nano_tokenizer
from engines.training.optimiser import Muon, Optimisers, split_parameters

SIDE_PX: Final = 256
STEM_WIDTHS: Final = (32, 64, 128)
READER_SCALE: Final = 0.4
"Learning rate of what stage `grounding` taught, while stage `decoder` runs."
BRIDGE_SCALE: Final = 0.5
"Learning rate of what leads from the language model to SAM-2; at twice that, or by Muon, its ReLUs die."
DRAWER_SCALE: Final = 0.25
"Learning rate of SAM-2."
PROMPT_GAIN: Final = 8.0
"""A prompt quieter than the mask decoder's own tokens is overheard: J after 90 steps on frozen features was
0.14 with a gain of 1, 0.44 with 3 (one run each)."""
READ_EVERY: Final = 3
"Stage `decoder` teaches reader and image encoder in one step of so many; those without them are cheap."

Teach = Callable[[Batch, int], Lesson]
"""From a batch and the number of the step to its loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingRun(Run):
    """One run of stage `grounding` or `decoder`."""

    pictures: int = 8
    "Of a step."
    questions: int = 6
    "About each picture."
    muon_rate: float = 0.02
    adam_rate: float = 2e-3
    tell_steps: int = 50


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Something that learns, at its own share of the learning rates."""

    module: nn.Module
    scale: float
    by_muon: bool
    "Its matrices by Muon; else everything by AdamW."


@dataclass(frozen=True, slots=True, eq=False)
class _Pupil:
    """A grounder with the heads that only training has."""

    grounder: Sa2Va
    helpers: Helpers

    @property
    def model(self) -> SaModel:
        """What is exported."""
        return self.grounder.model


def train_grounding(run: GroundingRun, tell: Tell) -> Sa2Va:
    """Stage `grounding`: everything but the drawing. Returns the grounder, on the CPU."""
    pupil = _fresh_pupil(run)
    model, helpers = pupil.model, pupil.helpers
    parts = [
        _Part(_bridge(model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(model, helpers), 1.0, True),
    ]

    def teach(batch: Batch, _: int) -> Lesson:
        return reading_lesson(model, helpers, batch)[0]

    return _train(run, pupil, _optimisers(run, parts), teach, tell)


def train_decoder(run: GroundingRun, reader: Path, tell: Tell) -> Sa2Va:
    """Stage `decoder`: from stage `grounding`'s last.pt and a fresh SAM-2. Returns as `train_grounding`."""
    pupil = _fresh_pupil(run)
    model, helpers = pupil.model, pupil.helpers
    saved = torch.load(reader, weights_only=True, map_location="cpu")
    model.load_state_dict(saved["model"])
    helpers.load_state_dict(saved["helpers"])
    # Muon's steps have one size whatever the gradient's: with them the decoder did not learn to listen.
    parts = [
        _Part(nn.ModuleList([model.segmenter, helpers.map]), DRAWER_SCALE, False),
        _Part(_bridge(model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(model, helpers), READER_SCALE, True),
    ]

    def teach(batch: Batch, step: int) -> Lesson:
        reads = step % READ_EVERY == 0
        if reads:
            read, _, prompts = reading_lesson(model, helpers, batch)
        else:
            read, prompts = Lesson(torch.zeros((), device=batch.pixels.device), {}), _prompts(model, batch)
        placed = placing_loss(model, helpers, prompts, batch)
        drawn = drawing_lesson(model, helpers, _maps(model, batch, reads), prompts, batch)
        return Lesson(
            read.loss + placed + drawn.loss, read.figures | drawn.figures | {"placed": float(placed.detach())}
        )

    return _train(run, pupil, _optimisers(run, parts), teach, tell)


def _prompts(model: SaModel, batch: Batch) -> Tensor:
    """(B, K, E); only the last layers, those of `text_hidden_fcs`, will learn from them."""
    with torch.no_grad():
        hidden = model.read(model.look(batch.pixels).tokens, batch.packed).hidden
    rows = torch.arange(len(batch.seg), device=hidden.device)[:, None]
    return model.embeddings(hidden[rows, batch.seg])


def _maps(model: SaModel, batch: Batch, learning: bool) -> tuple[Tensor, ...]:
    with torch.set_grad_enabled(learning):
        return model.maps(batch.pixels)


# --- the start ------------------------------------------------------------------------------------


def _fresh_pupil(run: Run) -> _Pupil:
    device = training_device()
    pupil = _Pupil(fresh_grounder(run.number), fresh_helpers(run.number).to(device))
    pupil.model.to(device)
    return pupil


def fresh_grounder(seed: int = 0) -> Sa2Va:
    """Nano's grounder with weights to start from."""
    torch.manual_seed(seed)
    tokenizer = nano_tokenizer()
    config = nano_grounder_config(tokenizer.get_vocab_size())
    template = make_template(tokenizer, image_tokens(config))
    model = build(config, template.image_id)
    # "eager" shows its attention, which is taught; in bfloat16 it is also the faster one on CPUs here.
    model.mllm.set_attn_implementation("eager")
    model.segmenter.set_attn_implementation("eager")
    with torch.no_grad():
        model.mllm.model.vision_tower.embeddings.position_embeddings[0, 1:] = 0.3 * _waves(16, 128)
        model.text_hidden_fcs.get_parameter("2.weight").mul_(PROMPT_GAIN)
        _waken(model.segmenter)
    return Sa2Va(model, template, config)


def _waken(sam: Sam2Model) -> None:
    """Deviations of 1 / sqrt(fan in): the library's 0.02 leaves layers as narrow as these almost silent."""
    for module in sam.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            transposed = isinstance(module, nn.ConvTranspose2d)  # (in, out, k, k), no overlap
            fan_in = module.weight.shape[0] if transposed else module.weight[0].numel()
            nn.init.trunc_normal_(module.weight, std=fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
    backbone = sam.vision_encoder.backbone
    for free in (backbone.pos_embed, backbone.pos_embed_window, sam.no_memory_embedding):
        nn.init.normal_(free, std=0.1)
    # One set of positions in the published layout, two modules here.
    shared = sam.shared_image_embedding.positional_embedding
    sam.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    # Alike projections look where they point: a token with a place's code attends to that place at once.
    transformer: Any = sam.mask_decoder.transformer
    for attention in (
        *(layer.cross_attn_token_to_image for layer in transformer.layers),
        transformer.final_attn_token_to_image,
    ):
        attention.k_proj.load_state_dict(attention.q_proj.state_dict())


def fresh_helpers(seed: int = 0) -> Helpers:
    """The heads that only training has."""
    torch.manual_seed(seed)
    return Helpers(patch_width=128, prompt_width=128)


def _reader(model: SaModel, helpers: Helpers) -> nn.Module:
    """What Muon teaches: the language model, its eyes, and the heads on both."""
    heat = nn.ParameterList([helpers.heat_bias])
    return nn.ModuleList([model.mllm, helpers.patches, helpers.place, helpers.heat, heat])


def _bridge(model: SaModel, helpers: Helpers) -> nn.Module:
    """From the language model to SAM-2; its weights are large (`PROMPT_GAIN`), Muon hardly moves them."""
    return nn.ModuleList([model.text_hidden_fcs, helpers.prompt, helpers.point])


def _waves(side: int, width: int) -> Tensor:
    """(side * side, width) sines and cosines of x and y: neighbours begin alike."""
    index = torch.arange(side * side)
    angle = math.pi * torch.stack([index % side, index // side], dim=1)[:, :, None] / side
    angle = angle * torch.linspace(0.5, 8, width // 4)
    return torch.cat([angle.sin(), angle.cos()], dim=2).flatten(1)


def nano_grounder_config(vocabulary: int) -> dict[str, Any]:
    """Nano in the published `config.json` layout; `stem_widths` and `sam2_config` are ours."""
    return {
        "architectures": ["Sa2VAChatModel"],
        "model_type": "sa2va_chat",
        "template": "qwen_chat",
        "select_layer": -1,
        "force_image_size": SIDE_PX,
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "dynamic_image_size": False,
        "use_thumbnail": False,
        "vision_config": {
            "hidden_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 384,
            "image_size": SIDE_PX,
            "patch_size": 16,
            "qkv_bias": True,
            "qk_normalization": False,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "initializer_range": 0.06,
            "initializer_factor": 1.0,
            "stem_widths": list(STEM_WIDTHS),
        },
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": vocabulary,
            "max_position_embeddings": 512,
            "initializer_range": 0.06,
            "tie_word_embeddings": True,
        },
        "sam2_config": _sam_config(),
    }


def _sam_config() -> dict[str, Any]:
    """The tracker's shapes with half its blocks: it draws one picture, where the tracker follows a film."""
    width = 128
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 32,
        "image_size": [SIDE_PX, SIDE_PX],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [32, 64, 96, 128],
        "num_attention_heads_per_stage": [1, 2, 3, 4],
        "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [],
        "window_positional_embedding_background_size": [8, 8],
    }
    return {
        "vision_config": {
            "backbone_config": backbone,
            "backbone_channel_list": [128, 96, 64, 32],
            "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
            "fpn_hidden_size": width,
        },
        "prompt_encoder_config": {"hidden_size": width, "image_size": SIDE_PX},
        "mask_decoder_config": {
            "hidden_size": width,
            "mlp_dim": width,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": width,
            "dynamic_multimask_via_stability": False,
        },
    }


# --- the loop -------------------------------------------------------------------------------------


def rate_at(spent: float) -> float:
    """Factor on the learning rates where a share 0..1 of the budget is spent."""
    if spent < 0.02:
        return max(spent / 0.02, 0.05)
    return 1.0 if spent < 0.55 else max(0.03, (1.0 - spent) / 0.45)


def first_seed(number: int, step: int, pictures: int) -> int:
    """Seed of the first of a step's pictures."""
    return (number * 10**6 + step) * pictures


def _draw(run: GroundingRun, number: int, template: Template, step: int) -> Batch:
    seed = first_seed(number, step, run.pictures)
    return draw_batch(seed, run.pictures, run.questions, template, run.level)


def _optimisers(run: GroundingRun, parts: list[_Part]) -> Optimisers:
    matrices: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for part in parts:
        of_matrices, of_others = split_parameters(part.module)
        if part.by_muon:
            matrices.append({"params": of_matrices, "lr": run.muon_rate * part.scale})
        else:
            of_others += of_matrices
        others.append({"params": of_others, "lr": run.adam_rate * part.scale})
    muon = Muon(matrices, lr=run.muon_rate)
    adam = torch.optim.AdamW(others, lr=run.adam_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return Optimisers([muon, adam], clipped=[weight for group in others for weight in group["params"]])


def _train(run: GroundingRun, pupil: _Pupil, optimisers: Optimisers, teach: Teach, tell: Tell) -> Sa2Va:
    """Steps until the time is spent; the pupil leaves the GPU then."""
    device = training_device()
    parts: dict[str, Stateful] = {"model": pupil.model, "helpers": pupil.helpers, "optimisers": optimisers}

    course = Course(run, parts, tell)
    number = run.number + course.progress.session
    draw = partial(_draw, run, number, pupil.grounder.template)
    batches = feed(draw, count(course.progress.step), painters_for(device))

    def take_step(progress: Progress) -> Figures:
        batch = to_device(next(batches), device)
        with mixed_precision(device):
            learnt = teach(batch, progress.step)
        torch.autograd.backward(learnt.loss)
        optimisers.step(rate_at(run.share(progress)))
        return learnt.figures | {"loss": float(learnt.loss.detach())}

    course.run(take_step, partial(save_sa2va, pupil.grounder))
    pupil.model.cpu()
    return pupil.grounder
