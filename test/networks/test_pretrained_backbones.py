"""Tests for networks/pretrained: adapters of published models, made tiny, and as they are."""

import copy
import itertools
import json

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")
pytest.importorskip("transformers", reason="needs transformers: pip install 'carp_ros[vlm]'")

from transformers import CONFIG_MAPPING, AutoModel, DynamicCache  # noqa: E402
from transformers.models.gemma2 import modeling_gemma2  # noqa: E402

from bench.published_backbones import (  # noqa: E402
    PALIGEMMA2_3B,
    QWEN2_5_VL_3B,
    SMOLVLM2_2B,
    SMOLVLM2_256M,
    SMOLVLM2_500M,
)
from carp_ros.networks.action_expert import ActionExpert, ExpertConfig, block_mask  # noqa: E402
from carp_ros.networks.attention import attended  # noqa: E402
from carp_ros.networks.faster_vla import FasterVla  # noqa: E402
from carp_ros.networks.freezing import BACKBONE, freeze, lower_half  # noqa: E402
from carp_ros.networks.lora import add_lora, merge_lora  # noqa: E402
from carp_ros.networks.pretrained.adapter import context_mask, scaled  # noqa: E402
from carp_ros.networks.pretrained.load import load_backbone, random_backbone  # noqa: E402
from carp_ros.networks.pretrained.qwen2_5_vl import _patches  # noqa: E402
from carp_ros.networks.rotary import rotated  # noqa: E402

from .tiny_published import CONFIGS, IMAGE_PX, SMOLVLM2, published, shaken, write_folder  # noqa: E402

EXPERT = ExpertConfig(codes=11, tokens=12, block=4, width=16, hidden=32)
EXACT = {"atol": 1e-10, "rtol": 0.0}
# Angles of positions, and the library's own softmax, are in single precision whatever the weights.
SINGLE = {"atol": 2e-5, "rtol": 1e-4}
every_kind = pytest.mark.parametrize("kind", CONFIGS)


@pytest.fixture(autouse=True)
def exact():
    """Double precision, in which both ways to compute the same agree to the last digits."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def backbone_of(kind, **options):
    options = {"image_px": IMAGE_PX[kind], **options}
    return shaken(random_backbone(CONFIGS[kind], **options)).eval()


def observation(backbone, batch=2, cameras=2, length=6):
    side = backbone.image_px
    return torch.rand(batch, cameras, 3, side, side) * 2 - 1, torch.randint(1, 48, (batch, length))


def library_of(backbone, kind):
    """Return the published model with the same weights, as the library runs it by itself."""
    config = CONFIG_MAPPING[CONFIGS[kind]["model_type"]].from_dict(copy.deepcopy(CONFIGS[kind]))
    model = AutoModel.from_config(config, attn_implementation="eager").double().eval()
    model.load_state_dict(backbone.model.state_dict())
    return model


def cached(output):
    cache = getattr(output, "cache", None) or output.past_key_values
    return [(layer.keys, layer.values) for layer in cache.layers]


def assert_same(context, other, where=slice(None), **tolerance):
    assert len(context) == len(other)
    for pair, pair2 in zip(context, other):
        for part, part2 in zip(pair, pair2):
            torch.testing.assert_close(part[:, :, where], part2, **tolerance)


@every_kind
def test_a_context_is_the_one_that_the_library_makes_of_the_same_images_and_text(kind):
    backbone = backbone_of(kind)
    images, text = observation(backbone)
    network = FasterVla(backbone, EXPERT)
    context = network.context(images, text)
    seen = context.is_real.shape[1] - text.shape[1]
    ids = torch.cat((torch.full((2, seen), 48), text - 1), dim=1)  # 0 is padding
    positions = torch.arange(ids.shape[1]).expand(2, -1)
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": True}
    if kind == "qwen2_5_vl":
        pixels = (images.flatten(0, 1) + 1) / 2
        for channel, (mean, std) in enumerate(
            [(0.4815, 0.2686), (0.4578, 0.2613), (0.4082, 0.2758)]
        ):
            pixels[:, channel] = (pixels[:, channel] - mean) / std
        grid = torch.tensor([[1, 4, 4]] * 4)
        given |= {"pixel_values": _patches(pixels, 4, 2, 2), "image_grid_thw": grid}
        given["position_ids"] = positions.expand(3, -1, -1)
        tolerance = {"atol": 2e-3, "rtol": 1e-2}  # the constants above are rounded
    else:
        given["pixel_values"] = images if kind == "smolvlm2" else images.flatten(0, 1)
        given["position_ids"] = positions
        tolerance = SINGLE
    if kind == "paligemma2":
        given["token_type_ids"] = torch.zeros_like(ids)
    with torch.no_grad():
        assert_same(context.known, cached(library_of(backbone, kind)(**given)), **tolerance)


@every_kind
def test_block_by_block_gives_what_all_blocks_at_once_do(kind):
    network = FasterVla(backbone_of(kind), EXPERT).eval()
    shaken(network.expert)
    images, text = observation(network.backbone)
    text[0, 4:] = 0
    context, tokens = network.context(images, text), torch.randint(11, (2, 12))
    at_once, _ = network.expert.teach(tokens, *context)
    known, is_real, last, _ = context
    for block in range(3):
        before = tokens[:, 4 * block - 4 : 4 * block] if block else tokens[:, :4]
        logits, known = network.expert.step(block, before, known, is_real, last)
        torch.testing.assert_close(logits, at_once[:, 4 * block : 4 * block + 4], **EXACT)


def joint_mask(is_real, causal, blocks):
    """Return the mask over context and actions together, bool (B, 1, S + N, S + N)."""
    context = context_mask(is_real, causal=causal)
    actions = block_mask(is_real, blocks, 4)
    blind = is_real.new_zeros(*context.shape[:2], actions.shape[1])
    return torch.cat((torch.cat((context, blind), dim=2), actions), dim=1)[:, None]


@every_kind
def test_the_decoder_goes_on_from_a_context_as_if_it_had_read_all_at_once(kind):
    backbone = backbone_of(kind)
    decoder = library_of(backbone, kind).get_submodule(backbone.DECODER)
    width = backbone.shape.width
    embeddings, later = torch.randn(2, 9, width), torch.randn(2, 8, width)
    is_real = torch.ones(2, 9, dtype=torch.bool)
    is_real[0, 3:5] = False
    positions = torch.arange(9).expand(2, -1)
    offsets = 8 + 2 * torch.arange(1, 9).expand(2, -1)
    mask = joint_mask(is_real, backbone.CAUSAL, blocks=2)
    seen = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float64).min)
    with torch.no_grad():
        whole = decoder(
            inputs_embeds=torch.cat((embeddings, later), dim=1),
            attention_mask=seen,
            position_ids=torch.cat((positions, offsets), dim=1),
        ).last_hidden_state
        cache = DynamicCache()
        for layer, pair in enumerate(backbone.prefill(embeddings, is_real, positions)):
            cache.update(*pair, layer)
        resumed = decoder(
            inputs_embeds=later,
            attention_mask=seen[:, :, 9:],
            position_ids=offsets,
            cache=cache,
        ).last_hidden_state
    torch.testing.assert_close(resumed, whole[:, 9:], **SINGLE)


@pytest.mark.parametrize("kind", ["smolvlm2", "qwen2_5_vl"])
def test_an_expert_with_the_decoder_s_own_weights_is_the_decoder(kind):
    """Positions, scale and mask are shared: the library alone, on all tokens, gives the same."""
    backbone = backbone_of(kind)
    shape = backbone.shape
    expert = ActionExpert(shape, ExpertConfig(11, 12, 4, shape.width, 40)).eval()
    with torch.no_grad():
        for own, theirs in zip(expert.layers, backbone._decoder.layers):
            attention, mlp = theirs.self_attn, theirs.mlp
            pairs = [
                (own.norm_1, theirs.input_layernorm),
                (own.norm_2, theirs.post_attention_layernorm),
                (own.to_q, attention.q_proj),
                (own.to_k, attention.k_proj),
                (own.to_v, attention.v_proj),
                (own.to_out, attention.o_proj),
                (own.to_gate, mlp.gate_proj),
                (own.to_hidden, mlp.up_proj),
                (own.to_width, mlp.down_proj),
            ]
            for mine, other in pairs:
                mine.weight.copy_(other.weight)
                if getattr(other, "bias", None) is not None:
                    other.bias.zero_()  # which an expert lacks
        expert.norm.weight.copy_(backbone._decoder.norm.weight)
        shaken(expert.table)
        images, text = observation(backbone)
        text[1, 3:] = 0
        known, is_real, last, _ = FasterVla(backbone, EXPERT).context(images, text)
        tokens = torch.randint(11, (2, 12))
        logits, _ = expert.teach(tokens, known, is_real, last)
        embeddings = torch.cat((backbone.embed_images(images), backbone.embed_text(text)), dim=1)
        inputs = torch.cat((torch.full((2, 4), expert.begin_id), tokens), dim=1)
        positions = (is_real.long().cumsum(1) - 1).clamp(min=0)
        offsets = last[:, None] + 2 * torch.arange(1, 17)
        mask = joint_mask(is_real, backbone.CAUSAL, blocks=4)
        hidden = (
            library_of(backbone, kind)
            .get_submodule(backbone.DECODER)(
                inputs_embeds=torch.cat((embeddings, expert.table(inputs)), dim=1),
                attention_mask=torch.zeros(mask.shape).masked_fill(~mask, -1e30),
                position_ids=torch.cat((positions, offsets), dim=1),
            )
            .last_hidden_state
        )
    expected = (hidden @ expert.table.weight.T)[:, is_real.shape[1] : -4, :11]
    torch.testing.assert_close(logits, expected, **SINGLE)


def test_soft_capped_logits_are_those_of_gemma_2():
    q, k, v = torch.randn(2, 4, 3, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
    mask = torch.rand(2, 1, 3, 5) < 0.7
    mask[..., 0] = True
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    theirs, _ = modeling_gemma2.eager_attention_forward(
        module, q, k, v, torch.zeros(mask.shape).masked_fill(~mask, -1e30), scaling=0.7, softcap=1.5
    )
    torch.testing.assert_close(attended(q, k, v, mask, 0.7, 1.5).transpose(1, 2), theirs, **SINGLE)


def test_the_expert_of_gemma_2_has_its_scale_and_its_soft_cap():
    shape = backbone_of("paligemma2").shape
    assert (shape.scale, shape.softcap) == (pytest.approx(3**-0.5), 2.0)  # of heads 8 wide


def test_every_token_sees_something_and_only_padding_sees_padding():
    is_real = torch.tensor([[False, True, False, True]])
    assert context_mask(is_real, causal=True).int().tolist() == [
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    ]
    assert context_mask(is_real, causal=False).int().tolist() == [
        [[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1], [0, 1, 0, 1]]
    ]


@every_kind
def test_keys_are_turned_by_their_positions_as_the_expert_turns_its_own(kind):
    backbone = backbone_of(kind)
    embeddings, is_real = torch.randn(2, 7, backbone.shape.width), torch.ones(2, 7).bool()
    positions = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [0, 3, 4, 9, 11, 20, 21]])
    unturned = backbone.prefill(embeddings, is_real, torch.zeros_like(positions))[0][0]
    turned = backbone.prefill(embeddings, is_real, positions)[0][0]
    expected = rotated(unturned, positions, backbone.shape.rope_base)
    torch.testing.assert_close(turned, expected, **SINGLE)


@every_kind
def test_positions_may_begin_anywhere(kind):
    backbone = backbone_of(kind)
    embeddings, is_real = torch.randn(2, 7, backbone.shape.width), torch.ones(2, 7).bool()
    positions = torch.arange(7).expand(2, -1)
    early, late = (backbone.prefill(embeddings, is_real, positions + first) for first in (0, 5))
    for (_, v), (_, v2) in zip(early, late):
        torch.testing.assert_close(v, v2, **SINGLE)


@every_kind
def test_padding_anywhere_in_a_batch_changes_nothing(kind):
    backbone = backbone_of(kind)
    embeddings = torch.randn(2, 9, backbone.shape.width)
    is_real = torch.ones(2, 9, dtype=torch.bool)
    is_real[0, [0, 4, 5]] = False
    positions = (is_real.long().cumsum(1) - 1).clamp(min=0)
    together = backbone.prefill(embeddings, is_real, positions)
    for row in range(2):
        real = is_real[row]
        alone = backbone.prefill(
            embeddings[row : row + 1, real],
            is_real[row : row + 1, real],
            positions[row : row + 1, real],
        )
        assert_same(
            [(k[row : row + 1], v[row : row + 1]) for k, v in together], alone, real, **EXACT
        )
    other = embeddings.clone()
    other[0, ~is_real[0]] = 9.0
    changed = backbone.prefill(other, is_real, positions)
    for (k, v), (k2, v2) in zip(together, changed):
        assert torch.equal(k[0, :, is_real[0]], k2[0, :, is_real[0]])
        assert torch.equal(v[0, :, is_real[0]], v2[0, :, is_real[0]])
    assert all(part.isfinite().all() for pair in changed for part in pair)


@every_kind
def test_a_prompt_in_a_batch_gives_what_it_gives_alone(kind):
    network = FasterVla(backbone_of(kind), EXPERT).eval()
    shaken(network.expert)
    images, text = observation(network.backbone)
    text[0, 4:] = 0
    tokens = torch.zeros(2, 12).long()
    together = network.expert.teach(tokens, *network.context(images, text))[0]
    alone = network.expert.teach(tokens[:1], *network.context(images[:1], text[:1, :4]))[0]
    torch.testing.assert_close(together[:1], alone, **EXACT)


@pytest.mark.parametrize(
    ("kind", "sees_later"), [("smolvlm2", 0), ("paligemma2", 1), ("qwen2_5_vl", 0)]
)
def test_only_paligemma_s_context_sees_what_comes_later(kind, sees_later):
    backbone = backbone_of(kind)
    embeddings, is_real = torch.randn(1, 6, backbone.shape.width), torch.ones(1, 6).bool()
    positions, other = torch.arange(6)[None], embeddings.clone()
    other[0, -1] += 1.0
    before, after = (
        backbone.prefill(given, is_real, positions)[-1][0] for given in (embeddings, other)
    )
    assert torch.equal(before[:, :, :-1], after[:, :, :-1]) is not bool(sees_later)


def test_a_context_longer_than_a_layer_s_window_is_refused():
    backbone = backbone_of("paligemma2")
    given = torch.randn(1, 46, 24), torch.ones(1, 46).bool(), torch.arange(46)[None]
    with pytest.raises(ValueError, match="has 46 tokens; expected 45 at most"):
        backbone.prefill(*given)
    backbone.prefill(*(part[:, :45] for part in given))


@every_kind
def test_images_of_any_size_become_as_many_tokens(kind):
    backbone = backbone_of(kind)
    side = backbone.image_px
    images = torch.rand(2, 3, 3, side, side) * 2 - 1
    tokens = backbone.embed_images(images)
    count = {"smolvlm2": 9, "paligemma2": 16, "qwen2_5_vl": 4}[kind]
    assert tokens.shape == (2, 3 * count, backbone.shape.width)
    large = images.repeat_interleave(3, -1).repeat_interleave(4, -2)
    assert backbone.embed_images(large).shape == tokens.shape
    alone = backbone.embed_images(images[1:, 2:])
    torch.testing.assert_close(tokens[1:, -count:], alone, **EXACT)
    images[0, 1] = 0.0  # grey all over, which is an image too
    assert backbone.embed_images(images).shape == tokens.shape


def test_scaling_keeps_the_range_and_what_fits_already():
    images = torch.where(torch.rand(2, 3, 12, 20) < 0.5, -1.0, 1.0)
    square = scaled(images, 9)
    assert square.shape == (2, 3, 9, 9)
    assert square.abs().max() <= 1.0
    assert scaled(square, 9) is square
    flat = torch.full((1, 3, 12, 20), 0.4)
    torch.testing.assert_close(scaled(flat, 9), torch.full((1, 3, 9, 9), 0.4))


def test_scaling_is_the_librarys():
    images = 0.5 * torch.rand(2, 3, 12, 20)
    wanted = torch.nn.functional.interpolate(images, (9, 9), mode="bicubic", antialias=True)
    torch.testing.assert_close(scaled(images, 9), wanted, atol=1e-6, rtol=1e-6)


def test_a_patch_of_qwen_s_is_the_square_of_the_image_that_its_place_says():
    pixels = torch.rand(2, 3, 16, 16)
    rows = _patches(pixels, 4, 2, 2).reshape(2, 2, 2, 2, 2, 3, 2, 4, 4)
    for token_row, token_column, row, column in itertools.product((0, 1), repeat=4):
        y, x = 8 * token_row + 4 * row, 8 * token_column + 4 * column
        patch = rows[1, token_row, token_column, row, column]
        for frame in range(2):
            assert torch.equal(patch[:, frame], pixels[1, :, y : y + 4, x : x + 4])


@every_kind
def test_fewer_layers_are_the_first_of_all(kind):
    whole, half = backbone_of(kind), backbone_of(kind, layers=2)
    assert half.shape.layers == 2
    half.load_state_dict(whole.state_dict(), strict=False)
    given = torch.randn(1, 5, whole.shape.width), torch.ones(1, 5).bool(), torch.arange(5)[None]
    assert_same(half.prefill(*given), whole.prefill(*given)[:2], **EXACT)


@every_kind
@pytest.mark.parametrize("layers", [None, 2])
def test_a_published_folder_is_loaded_with_its_weights_and_words(kind, layers, tmp_path, capfd):
    backbone = backbone_of(kind)
    folder = write_folder(tmp_path / "model", kind, backbone)
    loaded = load_backbone(folder, layers=layers, image_px=IMAGE_PX[kind], dtype=torch.float64)
    own = {name: weight.float() for name, weight in backbone.state_dict().items()}
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight.float(), own[name]), name
    assert loaded.shape.layers == (layers or 3)
    assert loaded.words.begin == ((3,) if kind == "paligemma2" else ())
    assert loaded.words.tokens("pick up") == [1, 2]
    assert len(loaded.words) == 4
    expected = backbone._decoder.embed_tokens(torch.tensor([[0, 1]])).float()
    embedded = loaded.embed_text(torch.tensor([[1, 2]])).float()
    torch.testing.assert_close(embedded, expected, atol=1e-6, rtol=1e-6)
    assert not loaded.training
    assert capfd.readouterr() == ("", "")


def test_words_of_a_random_model_are_none():
    assert backbone_of("smolvlm2").words is None


def test_a_folder_that_is_no_published_model_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match=r"missing has no config.json; expected a published"):
        load_backbone(tmp_path / "missing")
    folder = write_folder(tmp_path / "model", "smolvlm2", backbone_of("smolvlm2"))
    config, weights = folder / "config.json", folder / "model.safetensors"
    config.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="is no JSON"):
        load_backbone(folder)
    config.write_text('{"model_type": "llama"}', encoding="utf-8")
    with pytest.raises(ValueError, match="model_type is 'llama'; expected one of paligemma, qwen"):
        load_backbone(folder)
    larger = copy.deepcopy(SMOLVLM2)
    larger["text_config"]["num_hidden_layers"] = 4
    config.write_text(json.dumps(larger), encoding="utf-8")
    with pytest.raises(ValueError, match=r"lacks 9 weights, text_model.layers.3.*copy the files"):
        load_backbone(folder)
    larger["text_config"]["hidden_size"] = 32
    config.write_text(json.dumps(larger), encoding="utf-8")
    with pytest.raises(ValueError, match=r"can't be read .*copy them again"):
        load_backbone(folder)
    config.write_text(json.dumps(SMOLVLM2), encoding="utf-8")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"can't be read .*copy them again"):
        load_backbone(folder)
    weights.unlink()
    with pytest.raises(ValueError, match=r"has no .safetensors files; .*: download them"):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "tokenizer.json is missing; expected all files"),
        ("{}", "tokenizer.json is no tokenizer"),
    ],
)
def test_a_folder_without_a_tokenizer_is_refused(content, message, tmp_path):
    folder = write_folder(tmp_path / "model", "smolvlm2", backbone_of("smolvlm2"))
    (folder / "tokenizer.json").unlink()
    if content is not None:
        (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("smolvlm2", {"layers": 4}, "layers is 4; expected 1 to 3"),
        ("smolvlm2", {"layers": 0}, "layers is 0; expected 1 to 3"),
        ("smolvlm2", {"image_px": 20}, "image_px is 20; expected a multiple of 8 up to 32"),
        ("smolvlm2", {"image_px": 40}, "image_px is 40; expected a multiple of 8 up to 32"),
        ("paligemma2", {"image_px": 20}, "image_px is 20; expected 16"),
        ("qwen2_5_vl", {"image_px": 20}, "image_px is 20; expected a multiple of 8$"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        backbone_of(kind, **options)


def test_positions_that_the_expert_can_not_have_are_refused():
    config = copy.deepcopy(SMOLVLM2)
    config["text_config"]["rope_scaling"] = {"rope_type": "linear", "factor": 2.0}
    with pytest.raises(ValueError, match="rope_type is linear; expected default"):
        random_backbone(config)


@every_kind
def test_the_first_stage_trains_the_expert_alone_and_the_second_half_of_the_backbone_too(kind):
    network = FasterVla(backbone_of(kind), EXPERT)
    freeze(network, BACKBONE)
    images, text = observation(network.backbone)
    tokens = torch.randint(11, (2, 12))
    before = {name: weight.clone() for name, weight in network.backbone.state_dict().items()}
    optimizer = torch.optim.Adam([w for w in network.parameters() if w.requires_grad], 0.1)
    network.losses(network.context(images, text), tokens)["loss"].backward()
    optimizer.step()
    for name, weight in network.backbone.state_dict().items():
        assert torch.equal(weight, before[name]), name
    network.requires_grad_(True)
    frozen = freeze(network, lower_half(network.backbone, network.backbone.shape.layers))
    network.zero_grad()
    network.losses(network.context(images, text), tokens)["loss"].backward()
    decoder = f"backbone.model.{network.backbone.DECODER}"
    assert f"{decoder}.embed_tokens.weight" in frozen
    assert f"{decoder}.layers.0.self_attn.q_proj.weight" in frozen
    for name, weight in network.named_parameters():
        if name in frozen:
            assert weight.grad is None, name
    trained = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert f"{decoder}.layers.1.self_attn.q_proj.weight" in trained
    projector = {
        "smolvlm2": "connector.modality_projection.proj",
        "paligemma2": "multi_modal_projector.linear",
        "qwen2_5_vl": "visual.merger.mlp.2",
    }[kind]
    assert f"backbone.model.{projector}.weight" in trained
    vision = [name for name in frozen if "vision" in name or "visual" in name]
    assert len(vision) > 20


@every_kind
def test_a_published_decoder_is_widened_and_merged(kind):
    backbone = backbone_of(kind)
    given = torch.randn(1, 5, backbone.shape.width), torch.ones(1, 5).bool(), torch.arange(5)[None]
    names = list(backbone.state_dict())
    before = backbone.prefill(*given)
    widened = add_lora(backbone, [f"model.{backbone.DECODER}.layers.*.self_attn.?_proj"], rank=2)
    assert len(widened) == 4 * 3
    same = backbone.prefill(*given)
    assert all(torch.equal(k, k2) and torch.equal(v, v2) for (k, v), (k2, v2) in zip(before, same))
    trainable = [weight for weight in backbone.parameters() if weight.requires_grad]
    assert len(trainable) == 2 * 4 * 3
    with torch.no_grad():
        for weight in trainable:
            weight.add_(0.1 * torch.randn_like(weight))
    changed = backbone.prefill(*given)
    assert (changed[-1][0] != before[-1][0]).any()
    merge_lora(backbone)
    assert list(backbone.state_dict()) == names
    assert_same(backbone.prefill(*given), changed, **EXACT)


PUBLISHED = {
    "SmolVLM2-500M": (
        "smolvlm2",
        SMOLVLM2_500M,
        {
            "model.text_model.embed_tokens.weight": (49280, 960),
            "model.text_model.layers.31.self_attn.q_proj.weight": (960, 960),
            "model.text_model.layers.31.self_attn.k_proj.weight": (320, 960),
            "model.text_model.layers.0.mlp.down_proj.weight": (960, 2560),
            "model.text_model.norm.weight": (960,),
            "model.connector.modality_projection.proj.weight": (960, 12288),
            "model.vision_model.embeddings.patch_embedding.weight": (768, 3, 16, 16),
            "model.vision_model.embeddings.position_embedding.weight": (1024, 768),
            "model.vision_model.encoder.layers.11.self_attn.out_proj.weight": (768, 768),
            "model.vision_model.encoder.layers.0.mlp.fc1.bias": (3072,),
            "model.vision_model.post_layernorm.weight": (768,),
        },
        (32, 960, 15, 5, 64, 100_000.0, 0.125, None),
    ),
    "SmolVLM2-256M": (
        "smolvlm2",
        SMOLVLM2_256M,
        {
            "model.text_model.layers.29.self_attn.v_proj.weight": (192, 576),
            "model.connector.modality_projection.proj.weight": (576, 12288),
        },
        (30, 576, 9, 3, 64, 100_000.0, 0.125, None),
    ),
    "SmolVLM2-2.2B": (
        "smolvlm2",
        SMOLVLM2_2B,
        {
            "model.text_model.layers.23.mlp.gate_proj.weight": (8192, 2048),
            "model.connector.modality_projection.proj.weight": (2048, 10368),
            "model.vision_model.embeddings.position_embedding.weight": (729, 1152),
        },
        (24, 2048, 32, 32, 64, 130_000.0, 0.125, None),
    ),
    "PaliGemma2-3B": (
        "paligemma2",
        PALIGEMMA2_3B,
        {
            "language_model.model.embed_tokens.weight": (257216, 2304),
            "language_model.model.layers.25.self_attn.q_proj.weight": (2048, 2304),
            "language_model.model.layers.25.self_attn.k_proj.weight": (1024, 2304),
            "language_model.model.layers.0.pre_feedforward_layernorm.weight": (2304,),
            "language_model.model.layers.0.mlp.up_proj.weight": (9216, 2304),
            "multi_modal_projector.linear.weight": (2304, 1152),
            "multi_modal_projector.linear.bias": (2304,),
            "vision_tower.vision_model.embeddings.patch_embedding.weight": (1152, 3, 14, 14),
            "vision_tower.vision_model.embeddings.position_embedding.weight": (256, 1152),
            "vision_tower.vision_model.encoder.layers.26.mlp.fc2.weight": (1152, 4304),
        },
        (26, 2304, 8, 4, 256, 10_000.0, 0.0625, 50.0),
    ),
    "Qwen2.5-VL-3B": (
        "qwen2_5_vl",
        QWEN2_5_VL_3B,
        {
            "model.embed_tokens.weight": (151936, 2048),
            "model.layers.35.self_attn.q_proj.bias": (2048,),
            "model.layers.35.self_attn.k_proj.weight": (256, 2048),
            "model.layers.0.mlp.gate_proj.weight": (11008, 2048),
            "model.norm.weight": (2048,),
            "visual.patch_embed.proj.weight": (1280, 3, 2, 14, 14),
            "visual.blocks.31.attn.qkv.weight": (3840, 1280),
            "visual.blocks.0.mlp.down_proj.weight": (1280, 3420),
            "visual.merger.ln_q.weight": (1280,),
            "visual.merger.mlp.0.weight": (5120, 5120),
            "visual.merger.mlp.2.weight": (2048, 5120),
        },
        (36, 2048, 16, 2, 128, 1_000_000.0, 128**-0.5, None),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_the_weights_that_its_files_have(name):
    kind, config, expected, shape = PUBLISHED[name]
    with torch.device("meta"):
        backbone = random_backbone(config)
        expert = ActionExpert(
            backbone.shape, ExpertConfig(4096, 21, 7, backbone.shape.width // 2, 256)
        )
    found = published(kind, backbone.model.state_dict())
    assert {key: tuple(found[key].shape) for key in expected} == expected
    own = backbone.shape
    assert (own.layers, own.width, own.heads, own.kv_heads, own.head_width) == shape[:5]
    assert (own.rope_base, own.scale, own.softcap) == pytest.approx(shape[5:])
    assert size_of(expert) < size_of(backbone) / 2


def test_the_smallest_published_vision_tower_has_197_weights():
    with torch.device("meta"):
        backbone = random_backbone(SMOLVLM2_256M)
    names = [name for name in backbone.state_dict() if name.startswith("model.vision_model.")]
    assert len(names) == 197


def size_of(network):
    return sum(weight.numel() for weight in network.parameters())


def test_the_first_16_layers_of_smolvlm2_make_smolvla_s_backbone():
    with torch.device("meta"):
        backbone = random_backbone(SMOLVLM2_500M, layers=16, image_px=256)
    assert backbone.shape.layers == 16
    names = backbone.state_dict()
    assert "model.text_model.layers.15.mlp.up_proj.weight" in names
    assert "model.text_model.layers.16.mlp.up_proj.weight" not in names


def test_paligemma_s_windows_are_wider_than_any_context_of_its_images():
    with torch.device("meta"):
        backbone = random_backbone(PALIGEMMA2_3B)
    assert backbone._window == 4096
    four_cameras, prompt = 4 * 256, 512
    assert four_cameras + prompt < backbone._window
