"""Laws of refinements of the coarse feature map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engines.grounding.structure import (
    HEADS,
    Expressions,
    MaskBiasedAttention,
    Refinement,
    RefinementKind,
    decode_twice,
    make_refinement,
)
from lab.training.losses import scatter

WIDTH = 32
SURE = 100.0
"A logit that leaves no doubt."


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(5)


def expressions(tokens: int = 5, objects: int = 2, width: int = WIDTH) -> Expressions:
    return Expressions(
        tokens=torch.randn(objects, tokens, width),
        valid=torch.ones(objects, tokens, dtype=torch.bool),
        seg=torch.randn(objects, width),
    )


def features(objects: int = 2, width: int = WIDTH) -> Tensor:
    return torch.randn(objects, width, 4, 4)


def everywhere(logit: float = SURE, objects: int = 2) -> Tensor:
    return torch.full((objects, 16, 16), logit)


def attention(top_tokens: int = 6, gate_temperature: float = 1.0) -> MaskBiasedAttention:
    """With gamma 1, as after training."""
    module = MaskBiasedAttention(WIDTH, top_tokens, gate_temperature)
    nn.init.ones_(module.gamma)
    return module


def learnt(kind: RefinementKind) -> Refinement:
    refinement = make_refinement(kind, WIDTH)
    nn.init.ones_(refinement.gamma)
    return refinement


def scored_by_first_channel(module: MaskBiasedAttention) -> None:
    score = nn.Linear(WIDTH, 1, bias=False)
    score.weight.data = torch.eye(WIDTH)[:1]
    module.router = nn.Sequential(score)


# --- any refinement -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RefinementKind)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_untrained_refinement_changes_no_bit(kind: RefinementKind, dtype: torch.dtype) -> None:
    f = features().to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        refined = make_refinement(kind, WIDTH)(f, expressions(), everywhere())
    assert refined.dtype == dtype
    assert torch.equal(refined, f)


@pytest.mark.parametrize("kind", RefinementKind)
@pytest.mark.parametrize(("width", "side", "prior"), [(128, 16, 64), (256, 64, 256), (8, 3, 10), (16, 4, 4)])
def test_maps_of_any_shape_are_refined(kind: RefinementKind, width: int, side: int, prior: int) -> None:
    refinement = make_refinement(kind, width)
    nn.init.ones_(refinement.gamma)
    f = torch.randn(2, width, side, side)
    refined = refinement(f, expressions(width=width), torch.zeros(2, prior, prior))
    assert refined.shape == f.shape
    assert not torch.equal(refined, f)


@pytest.mark.parametrize("kind", RefinementKind)
def test_the_residual_is_proportional_to_gamma_and_gamma_scale(kind: RefinementKind) -> None:
    refinement, f, words = learnt(kind), features(), expressions()
    whole = refinement(f, words, everywhere()) - f
    refinement.gamma_scale = 0.5
    torch.testing.assert_close(refinement(f, words, everywhere()) - f, whole / 2)
    refinement.gamma.data.fill_(-0.5)
    torch.testing.assert_close(refinement(f, words, everywhere()) - f, whole / -4)


@pytest.mark.parametrize("kind", RefinementKind)
def test_gamma_gets_a_gradient_first_and_then_all_parameters(kind: RefinementKind) -> None:
    refinement, words = make_refinement(kind, WIDTH), expressions()
    goal = torch.randn(2, WIDTH, 4, 4)

    def moved() -> set[str]:
        refinement.zero_grad()
        (refinement(features(), words, everywhere(0.5)) - goal).square().sum().backward()
        return {name for name, w in refinement.named_parameters() if w.grad is not None and w.grad.any()}

    assert moved() == {"gamma"}
    refinement.gamma.data.fill_(0.1)
    still = {"router.2.bias"}  # a router's bias is equal for all tokens: it changes neither top-k nor softmax
    assert moved() | still == {name for name, _ in refinement.named_parameters()} | still


@pytest.mark.parametrize("kind", RefinementKind)
def test_objects_of_a_batch_are_independent(kind: RefinementKind) -> None:
    refinement, f, words = learnt(kind), features(), expressions()
    alone = Expressions(words.tokens[1:], words.valid[1:], words.seg[1:])
    both, second = refinement(f, words, everywhere()), refinement(f[1:], alone, everywhere(objects=1))
    torch.testing.assert_close(both[1:], second)


@pytest.mark.parametrize("kind", RefinementKind)
def test_making_a_refinement_leaves_the_random_state_unchanged(kind: RefinementKind) -> None:
    torch.manual_seed(1)
    without = torch.randn(3)
    torch.manual_seed(1)
    make_refinement(kind, WIDTH)
    assert torch.equal(torch.randn(3), without)


def test_expressions_of_different_lengths_are_padded() -> None:
    short, long, seg = torch.randn(2, WIDTH), torch.randn(5, WIDTH), torch.randn(2, WIDTH)
    words = Expressions.padded([short, long], seg)
    assert words.tokens.shape == (2, 5, WIDTH)
    assert torch.equal(words.tokens[0, words.valid[0]], short)
    assert torch.equal(words.tokens[1, words.valid[1]], long)
    assert torch.equal(words.seg, seg)
    second = words[torch.tensor([1])]
    assert torch.equal(second.tokens[0], long)
    assert second.valid.all()
    assert torch.equal(second.seg, seg[1:])


def test_zero_objects_have_empty_expressions() -> None:
    words = Expressions.padded([], torch.zeros(0, WIDTH))
    assert (words.tokens.shape, words.valid.shape) == ((0, 1, WIDTH), (0, 1))


@pytest.mark.parametrize("kind", RefinementKind)
def test_rows_that_are_all_padding_are_finite(kind: RefinementKind) -> None:
    refinement, f = learnt(kind), features(objects=3)
    words = scatter(expressions(tokens=3), torch.tensor([0, 2]), 3)
    refined = refinement(f, words, everywhere(objects=3))
    refined[[0, 2]].square().sum().backward()
    assert refined.isfinite().all()
    assert all(w.grad.isfinite().all() for w in refinement.parameters() if w.grad is not None)


# --- mask-biased attention ------------------------------------------------------------------------


def test_mask_biased_attention_equals_the_formula() -> None:
    """F' = F + γ · (MHA(LN F, T̂, T̂) ⊙ σ(M / τ)), computed head by head; the scores of T̂ bias its keys."""
    module, f, words = (
        attention(top_tokens=3, gate_temperature=2.0),
        features(objects=1),
        expressions(objects=1),
    )
    nn.init.constant_(module.gamma, 0.7)
    prior = torch.randn(1, 4, 4)

    cells = nn.functional.layer_norm(f[0].flatten(1).T, (WIDTH,), module.norm.weight, module.norm.bias)
    scores = module.router(words.tokens[0])[:, 0]
    best = scores.argsort(descending=True)[:3]
    attended = words.tokens[0, best]
    mha = module.attention
    q, k, v = (
        (x @ w.T + b).view(len(x), HEADS, -1).transpose(0, 1)
        for x, w, b in zip(
            (cells, attended, attended), mha.in_proj_weight.chunk(3), mha.in_proj_bias.chunk(3), strict=True
        )
    )
    shares = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5 + scores[best]).softmax(dim=2)
    residual = mha.out_proj((shares @ v).transpose(0, 1).flatten(1))
    gated = residual * torch.sigmoid(prior[0].flatten() / 2.0)[:, None]
    expected = f + 0.7 * gated.T.view_as(f)
    torch.testing.assert_close(module(f, words, prior), expected, atol=1e-5, rtol=1e-5)


def test_attention_to_several_tokens_differs_between_cells() -> None:
    module, cells = attention(), torch.randn(2, 16, WIDTH)
    assert module.attend(cells, expressions(tokens=5)).std(dim=1).mean() > 0.01


def test_attention_to_a_single_token_is_constant() -> None:
    """The reason for attending to the expression's tokens instead of the `[SEG]` embedding alone."""
    module, cells = attention(), torch.randn(2, 16, WIDTH)
    assert module.attend(cells, expressions(tokens=1)).std(dim=1).max() < 1e-6


def test_only_the_tokens_with_the_highest_scores_are_attended_to() -> None:
    module, f, words = attention(top_tokens=2), features(), expressions(tokens=5)
    scored_by_first_channel(module)
    words.tokens[:, :, 0] = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0])
    before = module(f, words, everywhere())
    kept, scores = module.route(words)
    assert scores.tolist() == [[3.0, 2.0]] * 2
    assert torch.equal(kept, words.tokens[:, [1, 3]])
    words.tokens[:, [0, 2, 4], 1:] += 1.0
    assert torch.equal(module(f, words, everywhere()), before)
    words.tokens[:, 3, 1:] += 1.0
    assert not torch.allclose(module(f, words, everywhere()), before)


def test_a_higher_score_gets_more_attention() -> None:
    module, cells, words = attention(), torch.randn(1, 16, WIDTH), expressions(tokens=2, objects=1)
    scored_by_first_channel(module)
    words.tokens[:, :, 0] = 0.0
    module.attention.in_proj_weight.data[WIDTH : 2 * WIDTH] = 0.0  # equal keys: only the score decides
    first = module.attend(cells, Expressions(words.tokens[:, :1], words.valid[:, :1], words.seg))
    even = module.attend(cells, words)
    words.tokens[:, 0, 0] = 4.0
    module.attention.in_proj_weight.data[2 * WIDTH :, 0] = 0.0  # values do not contain the score
    assert (module.attend(cells, words) - first).norm() < 0.1 * (even - first).norm()


def test_padding_gets_no_attention() -> None:
    module, f, words = attention(), features(), expressions(tokens=3)
    large = torch.full((2, 4, WIDTH), 50.0)
    padded = Expressions(
        tokens=torch.cat([words.tokens, large], dim=1),
        valid=torch.cat([words.valid, torch.zeros(2, 4, dtype=torch.bool)], dim=1),
        seg=words.seg,
    )
    torch.testing.assert_close(module(f, padded, everywhere()), module(f, words, everywhere()))


def test_the_residual_is_zero_where_the_mask_is_negative() -> None:
    module, f = attention(), features()
    prior = everywhere(-SURE)
    prior[:, :8, :8] = SURE
    changed = (module(f, expressions(), prior) != f).any(dim=1)
    assert changed[:, :2, :2].all()
    assert changed.sum() == 2 * 2 * 2


def test_a_lower_temperature_sharpens_the_gate() -> None:
    f, words = features(), expressions()
    sharp, soft = attention(gate_temperature=0.5), attention(gate_temperature=4.0)
    soft.load_state_dict(sharp.state_dict())

    def written(module: MaskBiasedAttention, logit: float) -> float:
        return float((module(f, words, everywhere(logit)) - f).norm().detach())

    assert written(sharp, 1.0) > written(soft, 1.0)
    assert written(sharp, -1.0) < written(soft, -1.0)
    assert written(sharp, 0.0) == pytest.approx(written(soft, 0.0))


def test_the_prior_gets_a_gradient_through_the_gate() -> None:
    module, words, prior = attention(), expressions(), everywhere(0.3).requires_grad_()
    words.tokens.requires_grad_()
    module(features(), words, prior).square().sum().backward()
    assert prior.grad is not None
    assert prior.grad.abs().min() > 0
    assert words.tokens.grad is not None
    assert words.tokens.grad.any()


# --- FiLM -----------------------------------------------------------------------------------------


def test_film_depends_on_the_seg_embedding_only() -> None:
    film, words = learnt(RefinementKind.FILM), expressions()
    flat = torch.randn(2, WIDTH, 1, 1).expand(-1, -1, 4, 4)
    residual = film(flat, words, everywhere()) - flat
    torch.testing.assert_close(residual, residual[:, :, :1, :1].expand_as(residual))
    assert torch.equal(film(flat, words, everywhere(-SURE)), film(flat, words, everywhere()))
    other = Expressions(words.tokens, words.valid, words.seg + 1.0)
    assert not torch.allclose(film(flat, other, everywhere()), film(flat, words, everywhere()))


# --- decoding twice -------------------------------------------------------------------------------


def decode(coarse: Tensor) -> tuple[Tensor, Tensor]:
    """A decoder of three masks, the second with the highest predicted IoU."""
    masks = nn.functional.interpolate(coarse[:, :3], scale_factor=4.0)
    return masks, torch.tensor([0.2, 0.9, 0.4]).expand(len(coarse), -1)


def test_the_second_decode_is_gated_by_the_best_mask_of_the_first() -> None:
    module, f, words = attention(), features(), expressions()
    masks, _ = decode_twice(decode, module, f, words)
    assert torch.equal(masks, decode(module(f, words, decode(f)[0][:, 1]))[0])
    assert not torch.allclose(masks, decode(f)[0])


@pytest.mark.parametrize("kind", RefinementKind)
def test_decoding_twice_with_an_untrained_refinement_equals_decoding_once(kind: RefinementKind) -> None:
    f = features()
    twice = decode_twice(decode, make_refinement(kind, WIDTH), f, expressions())
    assert all(torch.equal(a, b) for a, b in zip(twice, decode(f), strict=True))
