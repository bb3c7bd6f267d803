"""How nano's grounder is trained from scratch on drawn pictures.

Two stages. `grounding`: the language model learns to see, look, point and speak; SAM-2 is not there yet.
`decoder`: SAM-2 joins, from scratch, and learns to draw what `[SEG]` points at, the language model following
at a lower rate. Time is the schedule: the learning rate follows the share of the budget spent.

Seeds are `(run * 10**6 + step) * PICTURES + i`: a resumed run counts its run up and never draws a
picture twice. Checkpoints are written beside the old one and renamed over it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import Sam2Model

from engines.grounding.checkpoints import Sa2Va, build, image_tokens, save_sa2va
from engines.grounding.model import SaModel
from engines.grounding.templates import make_template
from engines.training.losses import Helpers, Lesson, drawing_lesson, placing_loss, reading_lesson
from engines.training.mixture import Batch, draw_batch, nano_tokenizer
from engines.training.optimiser import Muon, split_parameters

SIDE_PX: Final = 256
PICTURES: Final = 8
QUESTIONS: Final = 6
STEM_WIDTHS: Final = (32, 64, 128)
LOG_EVERY: Final = 50
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

Tell = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class GroundingRun:
    """One stage of one training run; the same `directory` resumes it."""

    directory: Path
    "Holds last.pt."
    export: Path | None = None
    "Where the newest weights go in the published layout; None: nowhere."
    budget_s: float = 3300.0
    "Time to train, earlier sessions of the run included."
    run: int = 1
    muon_rate: float = 0.02
    adam_rate: float = 2e-3
    checkpoint_s: float = 60.0
    export_s: float = 300.0


def train_grounding(order: GroundingRun, tell: Tell) -> Sa2Va:
    """Stage `grounding`: everything but the drawing."""
    pupil, helpers = fresh_grounder(order.run), fresh_helpers(order.run)
    parts = [
        _Part(_bridge(pupil.model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(pupil.model, helpers), 1.0, True),
    ]
    course = _Course(order, pupil, helpers, parts)

    def lesson(batch: Batch) -> Lesson:
        return reading_lesson(pupil.model, helpers, batch)[0]

    course.run(lesson, tell)
    return pupil


def train_decoder(order: GroundingRun, reader: Path, tell: Tell) -> Sa2Va:
    """Stage `decoder`: from stage `grounding`'s last.pt and a fresh SAM-2."""
    pupil, helpers = fresh_grounder(order.run), fresh_helpers(order.run)
    saved = torch.load(reader, weights_only=True)
    pupil.model.load_state_dict(saved["model"])
    helpers.load_state_dict(saved["helpers"])
    drawer = nn.ModuleList([pupil.model.segmenter, helpers.map])
    # Muon's steps have one size whatever the gradient's: with them the decoder did not learn to listen.
    parts = [
        _Part(drawer, DRAWER_SCALE, False),
        _Part(_bridge(pupil.model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(pupil.model, helpers), READER_SCALE, True),
    ]
    course = _Course(order, pupil, helpers, parts)

    def lesson(batch: Batch) -> Lesson:
        if course.step % READ_EVERY == 0:
            read, _, prompts = reading_lesson(pupil.model, helpers, batch)
        else:
            read, prompts = Lesson(torch.zeros(()), {}), _prompts(pupil.model, batch)
        placed = placing_loss(pupil.model, helpers, prompts, batch)
        maps = _maps(pupil.model, batch, course.step % READ_EVERY == 0)
        drawn = drawing_lesson(pupil.model, helpers, maps, prompts, batch)
        figures = {"placed": float(placed.detach()), "placed/n": 1.0}
        return Lesson(read.loss + placed + drawn.loss, read.figures | drawn.figures | figures)

    course.run(lesson, tell)
    return pupil


def _prompts(model: SaModel, batch: Batch) -> Tensor:
    """(B, K, E); only the last layers, those of `text_hidden_fcs`, will learn from them."""
    with torch.no_grad():
        hidden = model.read(model.look(batch.pixels).tokens, batch.packed).hidden
    return model.embeddings(hidden[torch.arange(len(batch.seg))[:, None], batch.seg])


def _maps(model: SaModel, batch: Batch, learning: bool) -> tuple[Tensor, ...]:
    with torch.set_grad_enabled(learning):
        return model.maps(batch.pixels)


# --- the start ------------------------------------------------------------------------------------


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


def first_seed(run: int, step: int) -> int:
    """Seed of a step's first picture; steps and runs never share one."""
    return (run * 10**6 + step) * PICTURES


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Something that learns, at its own share of the learning rates."""

    module: nn.Module
    scale: float
    by_muon: bool
    "Its matrices by Muon; else everything by AdamW."


class _Course:
    """Steps until the time is spent; saves, exports and tells on the way."""

    def __init__(self, order: GroundingRun, pupil: Sa2Va, helpers: Helpers, parts: list[_Part]) -> None:
        self._order = order
        self._pupil = pupil
        self._helpers = helpers
        matrices: list[Any] = []
        others: list[Any] = []
        for part in parts:
            of_matrices, of_others = split_parameters(part.module)
            if part.by_muon:
                matrices.append({"params": of_matrices, "scale": part.scale})
            else:
                of_others += of_matrices
            others.append({"params": of_others, "scale": part.scale})
        self._clipped = [weight for group in others for weight in group["params"]]
        self._optimisers: list[tuple[torch.optim.Optimizer, float]] = [
            (Muon(matrices, lr=order.muon_rate), order.muon_rate),
            (
                torch.optim.AdamW(others, lr=order.adam_rate, weight_decay=0.0, betas=(0.9, 0.98)),
                order.adam_rate,
            ),
        ]
        self.step, self._run, self._spent_s = 0, order.run, 0.0
        if self._last.exists():
            self._resume()

    @property
    def _last(self) -> Path:
        return self._order.directory / "last.pt"

    def run(self, lesson: Callable[[Batch], Lesson], tell: Tell) -> None:
        """Train until the budget is spent."""
        spent_before_s, started_s = self._spent_s, time.monotonic()
        saved_s = exported_s = started_s
        figures: Counter[str] = Counter()
        while self._spent_s < self._order.budget_s:
            figures.update(self._take_step(lesson))
            now_s = time.monotonic()
            self._spent_s = spent_before_s + now_s - started_s
            if self.step % LOG_EVERY == 0:
                tell({"step": self.step, "elapsed_s": round(self._spent_s, 1), **_rates(figures)})
                figures.clear()
            if now_s - saved_s > self._order.checkpoint_s:
                saved_s = now_s
                self._save()
            if now_s - exported_s > self._order.export_s:
                exported_s = now_s
                self._export()
        self._save()
        self._export()

    def _take_step(self, lesson: Callable[[Batch], Lesson]) -> dict[str, float]:
        factor = rate_at(self._spent_s / self._order.budget_s)
        seed = first_seed(self._run, self.step)
        batch = draw_batch(seed, PICTURES, QUESTIONS, self._pupil.template)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            learnt = lesson(batch)
        torch.autograd.backward(learnt.loss)
        nn.utils.clip_grad_norm_(self._clipped, 1.0)
        for optimiser, rate in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * factor * group["scale"]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return learnt.figures | {"loss": float(learnt.loss.detach()), "loss/n": 1.0}

    def _export(self) -> None:
        if self._order.export is not None:
            save_sa2va(self._pupil, self._order.export)

    def _save(self) -> None:
        self._order.directory.mkdir(parents=True, exist_ok=True)
        beside = self._last.with_suffix(".new")
        torch.save(
            {
                "model": self._pupil.model.state_dict(),
                "helpers": self._helpers.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser, _ in self._optimisers],
                "at": (self.step, self._run, self._spent_s),
            },
            beside,
        )
        beside.replace(self._last)

    def _resume(self) -> None:
        saved = torch.load(self._last, weights_only=True)
        self._pupil.model.load_state_dict(saved["model"])
        self._helpers.load_state_dict(saved["helpers"])
        for (optimiser, _), state in zip(self._optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.step, run, self._spent_s = saved["at"]
        self._run = run + 1


def _rates(figures: Counter[str]) -> dict[str, float]:
    return {
        name: round(total / max(figures[f"{name}/n"], 1), 4)
        for name, total in figures.items()
        if not name.endswith("/n")
    }
