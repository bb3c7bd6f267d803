"""Laws of refinements: what words may add to a map, where, and that nothing is added at first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engines.grounding.structure import (
    HEADS,
    MaskBiasedAttention,
    Refinement,
    RefinementKind,
    Words,
    draw_twice,
    make_refinement,
)

WIDTH = 32
SURE = 100.0
"A logit that leaves no doubt."


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(5)


def words(tokens: int = 5, things: int = 2, width: int = WIDTH) -> Words:
    return Words(
        tokens=torch.randn(things, tokens, width),
        spoken=torch.ones(things, tokens, dtype=torch.bool),
        sentence=torch.randn(things, width),
    )


def features(things: int = 2, width: int = WIDTH) -> Tensor:
    return torch.randn(things, width, 4, 4)


def everywhere(logit: float = SURE, things: int = 2) -> Tensor:
    return torch.full((things, 16, 16), logit)


def attention(keep: int = 6, gate_temperature: float = 1.0) -> MaskBiasedAttention:
    """One that has learnt to speak up."""
    module = MaskBiasedAttention(WIDTH, keep, gate_temperature)
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
def test_a_fresh_refinement_changes_no_bit(kind: RefinementKind, dtype: torch.dtype) -> None:
    f = features().to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        refined = make_refinement(kind, WIDTH)(f, words(), everywhere())
    assert refined.dtype == dtype
    assert torch.equal(refined, f)


@pytest.mark.parametrize("kind", RefinementKind)
@pytest.mark.parametrize(("width", "side", "prior"), [(128, 16, 64), (256, 64, 256), (8, 3, 10), (16, 4, 4)])
def test_maps_of_any_shape_are_refined(kind: RefinementKind, width: int, side: int, prior: int) -> None:
    refinement = make_refinement(kind, width)
    nn.init.ones_(refinement.gamma)
    f = torch.randn(2, width, side, side)
    refined = refinement(f, words(width=width), torch.zeros(2, prior, prior))
    assert refined.shape == f.shape
    assert not torch.equal(refined, f)


@pytest.mark.parametrize("kind", RefinementKind)
def test_what_is_added_grows_with_gamma_and_warmth(kind: RefinementKind) -> None:
    refinement, f, said = learnt(kind), features(), words()
    whole = refinement(f, said, everywhere()) - f
    refinement.warmth = 0.5
    torch.testing.assert_close(refinement(f, said, everywhere()) - f, whole / 2)
    refinement.gamma.data.fill_(-0.5)
    torch.testing.assert_close(refinement(f, said, everywhere()) - f, whole / -4)


@pytest.mark.parametrize("kind", RefinementKind)
def test_gamma_learns_first_and_then_everything(kind: RefinementKind) -> None:
    refinement, said = make_refinement(kind, WIDTH), words()
    goal = torch.randn(2, WIDTH, 4, 4)

    def moved() -> set[str]:
        refinement.zero_grad()
        (refinement(features(), said, everywhere(0.5)) - goal).square().sum().backward()
        return {name for name, w in refinement.named_parameters() if w.grad is not None and w.grad.any()}

    assert moved() == {"gamma"}
    refinement.gamma.data.fill_(0.1)
    still = {"router.2.bias"}  # a router's offset is one for all tokens: it changes no choice and no share
    assert moved() | still == {name for name, _ in refinement.named_parameters()} | still


@pytest.mark.parametrize("kind", RefinementKind)
def test_things_of_a_batch_do_not_mix(kind: RefinementKind) -> None:
    refinement, f, said = learnt(kind), features(), words()
    alone = Words(said.tokens[1:], said.spoken[1:], said.sentence[1:])
    both, second = refinement(f, said, everywhere()), refinement(f[1:], alone, everywhere(things=1))
    torch.testing.assert_close(both[1:], second)


@pytest.mark.parametrize("kind", RefinementKind)
def test_making_one_leaves_chance_as_it_was(kind: RefinementKind) -> None:
    torch.manual_seed(1)
    without = torch.randn(3)
    torch.manual_seed(1)
    make_refinement(kind, WIDTH)
    assert torch.equal(torch.randn(3), without)


def test_expressions_of_different_lengths_are_padded() -> None:
    short, long, sentence = torch.randn(2, WIDTH), torch.randn(5, WIDTH), torch.randn(2, WIDTH)
    said = Words.padded([short, long], sentence)
    assert said.tokens.shape == (2, 5, WIDTH)
    assert torch.equal(said.tokens[0, said.spoken[0]], short)
    assert torch.equal(said.tokens[1, said.spoken[1]], long)
    assert torch.equal(said.sentence, sentence)
    second = said[torch.tensor([1])]
    assert torch.equal(second.tokens[0], long)
    assert second.spoken.all()
    assert torch.equal(second.sentence, sentence[1:])


def test_nothing_may_be_said_of_nothing() -> None:
    said = Words.padded([], torch.zeros(0, WIDTH))
    assert (said.tokens.shape, said.spoken.shape) == ((0, 1, WIDTH), (0, 1))


def test_things_are_placed_among_others_of_which_nothing_is_said() -> None:
    said = words(tokens=3)
    placed = said.placed(torch.tensor([3, 0]), 4)
    assert torch.equal(placed[torch.tensor([3, 0])].tokens, said.tokens)
    assert torch.equal(placed.sentence[[3, 0]], said.sentence)
    assert placed.spoken.any(dim=1).tolist() == [True, False, False, True]
    none = Words.padded([], torch.zeros(0, WIDTH)).placed(torch.zeros(0, dtype=torch.int64), 4)
    assert not none.spoken.any()


@pytest.mark.parametrize("kind", RefinementKind)
def test_where_nothing_is_said_nothing_becomes_nan(kind: RefinementKind) -> None:
    refinement, f = learnt(kind), features(things=3)
    said = words(tokens=3).placed(torch.tensor([0, 2]), 3)
    refined = refinement(f, said, everywhere(things=3))
    refined[[0, 2]].square().sum().backward()
    assert refined.isfinite().all()
    assert all(w.grad.isfinite().all() for w in refinement.parameters() if w.grad is not None)


# --- mask-biased attention ------------------------------------------------------------------------


def test_it_is_what_the_paper_writes() -> None:
    """F' = F + γ · (MHA(LN F, T̂, T̂) ⊙ σ(M / τ)), spelt out head by head; the scores of T̂ bias its keys."""
    module, f, said = attention(keep=3, gate_temperature=2.0), features(things=1), words(things=1)
    nn.init.constant_(module.gamma, 0.7)
    prior = torch.randn(1, 4, 4)

    cells = nn.functional.layer_norm(f[0].flatten(1).T, (WIDTH,), module.norm.weight, module.norm.bias)
    scores = module.router(said.tokens[0])[:, 0]
    best = scores.argsort(descending=True)[:3]
    heard = said.tokens[0, best]
    mha = module.attention
    q, k, v = (
        (x @ w.T + b).view(len(x), HEADS, -1).transpose(0, 1)
        for x, w, b in zip(
            (cells, heard, heard), mha.in_proj_weight.chunk(3), mha.in_proj_bias.chunk(3), strict=True
        )
    )
    shares = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5 + scores[best]).softmax(dim=2)
    told = mha.out_proj((shares @ v).transpose(0, 1).flatten(1))
    gated = told * torch.sigmoid(prior[0].flatten() / 2.0)[:, None]
    expected = f + 0.7 * gated.T.view_as(f)
    torch.testing.assert_close(module(f, said, prior), expected, atol=1e-5, rtol=1e-5)


def test_many_tokens_say_different_things_to_different_cells() -> None:
    module, cells = attention(), torch.randn(2, 16, WIDTH)
    assert module.heard(cells, words(tokens=5)).std(dim=1).mean() > 0.01


def test_one_token_says_the_same_everywhere() -> None:
    """Why an expression's tokens are needed, and the sentence alone would not do."""
    module, cells = attention(), torch.randn(2, 16, WIDTH)
    assert module.heard(cells, words(tokens=1)).std(dim=1).max() < 1e-6


def test_only_the_most_important_tokens_are_heard() -> None:
    module, f, said = attention(keep=2), features(), words(tokens=5)
    scored_by_first_channel(module)
    said.tokens[:, :, 0] = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0])
    before = module(f, said, everywhere())
    kept, scores = module.route(said)
    assert scores.tolist() == [[3.0, 2.0]] * 2
    assert torch.equal(kept, said.tokens[:, [1, 3]])
    said.tokens[:, [0, 2, 4], 1:] += 1.0
    assert torch.equal(module(f, said, everywhere()), before)
    said.tokens[:, 3, 1:] += 1.0
    assert not torch.allclose(module(f, said, everywhere()), before)


def test_of_tokens_that_are_heard_the_more_important_is_heard_more() -> None:
    module, cells, said = attention(), torch.randn(1, 16, WIDTH), words(tokens=2, things=1)
    scored_by_first_channel(module)
    said.tokens[:, :, 0] = 0.0
    module.attention.in_proj_weight.data[WIDTH : 2 * WIDTH] = 0.0  # keys alike: only the score decides
    first = module.heard(cells, Words(said.tokens[:, :1], said.spoken[:, :1], said.sentence))
    even = module.heard(cells, said)
    said.tokens[:, 0, 0] = 4.0
    module.attention.in_proj_weight.data[2 * WIDTH :, 0] = 0.0  # nor is the score itself heard
    assert (module.heard(cells, said) - first).norm() < 0.1 * (even - first).norm()


def test_padding_is_never_heard() -> None:
    module, f, said = attention(), features(), words(tokens=3)
    louder = torch.full((2, 4, WIDTH), 50.0)
    padded = Words(
        tokens=torch.cat([said.tokens, louder], dim=1),
        spoken=torch.cat([said.spoken, torch.zeros(2, 4, dtype=torch.bool)], dim=1),
        sentence=said.sentence,
    )
    torch.testing.assert_close(module(f, padded, everywhere()), module(f, said, everywhere()))


def test_nothing_is_written_where_the_mask_cannot_be() -> None:
    module, f = attention(), features()
    prior = everywhere(-SURE)
    prior[:, :8, :8] = SURE
    changed = (module(f, words(), prior) != f).any(dim=1)
    assert changed[:, :2, :2].all()
    assert changed.sum() == 2 * 2 * 2


def test_a_lower_temperature_makes_a_sharper_gate() -> None:
    f, said = features(), words()
    sharp, soft = attention(gate_temperature=0.5), attention(gate_temperature=4.0)
    soft.load_state_dict(sharp.state_dict())

    def written(module: MaskBiasedAttention, logit: float) -> float:
        return float((module(f, said, everywhere(logit)) - f).norm().detach())

    assert written(sharp, 1.0) > written(soft, 1.0)
    assert written(sharp, -1.0) < written(soft, -1.0)
    assert written(sharp, 0.0) == pytest.approx(written(soft, 0.0))


def test_the_mask_learns_from_what_was_written() -> None:
    module, said, prior = attention(), words(), everywhere(0.3).requires_grad_()
    said.tokens.requires_grad_()
    module(features(), said, prior).square().sum().backward()
    assert prior.grad is not None
    assert prior.grad.abs().min() > 0
    assert said.tokens.grad is not None
    assert said.tokens.grad.any()


# --- FiLM -----------------------------------------------------------------------------------------


def test_film_hears_the_sentence_and_knows_no_place() -> None:
    film, said = learnt(RefinementKind.FILM), words()
    flat = torch.randn(2, WIDTH, 1, 1).expand(-1, -1, 4, 4)
    told = film(flat, said, everywhere()) - flat
    torch.testing.assert_close(told, told[:, :, :1, :1].expand_as(told))
    assert torch.equal(film(flat, said, everywhere(-SURE)), film(flat, said, everywhere()))
    other = Words(said.tokens, said.spoken, said.sentence + 1.0)
    assert not torch.allclose(film(flat, other, everywhere()), film(flat, said, everywhere()))


# --- drawing twice --------------------------------------------------------------------------------


def decode(coarse: Tensor) -> tuple[Tensor, Tensor]:
    """A decoder that draws three channels, and trusts the second most."""
    masks = nn.functional.interpolate(coarse[:, :3], scale_factor=4.0)
    return masks, torch.tensor([0.2, 0.9, 0.4]).expand(len(coarse), -1)


def test_the_second_drawing_is_on_what_the_most_trusted_mask_of_the_first_gates() -> None:
    module, f, said = attention(), features(), words()
    masks, _ = draw_twice(decode, module, f, said)
    assert torch.equal(masks, decode(module(f, said, decode(f)[0][:, 1]))[0])
    assert not torch.allclose(masks, decode(f)[0])


@pytest.mark.parametrize("kind", RefinementKind)
def test_drawing_twice_with_a_fresh_refinement_is_drawing_once(kind: RefinementKind) -> None:
    f = features()
    twice = draw_twice(decode, make_refinement(kind, WIDTH), f, words())
    assert all(torch.equal(a, b) for a, b in zip(twice, decode(f), strict=True))
