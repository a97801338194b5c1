"""Published models made tiny, with random weights far from the initial ones."""

import json

import torch

SMOLVLM2 = {
    "model_type": "smolvlm",
    "scale_factor": 2,
    "image_token_id": 48,
    "text_config": {
        "model_type": "llama",
        "vocab_size": 50,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "rms_norm_eps": 1e-6,
        "rope_theta": 5_000.0,
        "pad_token_id": 0,
    },
    "vision_config": {
        "model_type": "smolvlm_vision",
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 4,
        "image_size": 32,
    },
}
PALIGEMMA2 = {
    "model_type": "paligemma",
    "projection_dim": 24,
    "image_token_index": 48,
    "text_config": {
        "model_type": "gemma2",
        "vocab_size": 50,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "query_pre_attn_scalar": 3,
        "attn_logit_softcapping": 2.0,
        "sliding_window": 45,
        "rope_theta": 10_000.0,
    },
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 4,
        "image_size": 16,
        "vision_use_head": False,
    },
}
QWEN2_5_VL = {
    "model_type": "qwen2_5_vl",
    "image_token_id": 48,
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 20_000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    "use_sliding_window": False,
    "sliding_window": 8,
    "tie_word_embeddings": True,
    "vision_config": {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_heads": 2,
        "in_chans": 3,
        "out_hidden_size": 32,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 8,
        "fullatt_block_indexes": [1],
    },
}
CONFIGS = {"smolvlm2": SMOLVLM2, "paligemma2": PALIGEMMA2, "qwen2_5_vl": QWEN2_5_VL}
IMAGE_PX = {"smolvlm2": 24, "paligemma2": None, "qwen2_5_vl": 16}


def shaken(network):
    """Give a network weights that make what it computes depend on all of its input."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in network.parameters():
            noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            if weight.ndim > 1:
                weight.copy_(noise / weight[0].numel() ** 0.5)
            else:
                weight.add_(0.3 * noise)
    return network


def published(kind, weights):
    """Return weights of a backbone's model by the names that they have in published files."""
    renamed = {}
    for name, weight in weights.items():
        top, _, rest = name.partition(".")
        if kind == "smolvlm2":
            renamed[f"model.{name}"] = weight
        elif top == "language_model":
            before = "language_model.model" if kind == "paligemma2" else "model"
            renamed[f"{before}.{rest}"] = weight
        elif top == "vision_tower":
            renamed[f"vision_tower.vision_model.{rest.removeprefix('vision_model.')}"] = weight
        else:
            renamed[name] = weight
    return renamed


def write_folder(folder, kind, backbone):
    """Write a model as it is published, and return the folder."""
    from safetensors.torch import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS[kind]), encoding="utf-8")
    weights = {name: weight.float() for name, weight in backbone.model.state_dict().items()}
    weights = published(kind, weights)
    if kind == "smolvlm2":
        weights["lm_head.weight"] = torch.zeros(50, 24, dtype=torch.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    words = Tokenizer(WordLevel({"pick": 0, "up": 1, "<unk>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.enable_padding(length=9)
    words.save(str(folder / "tokenizer.json"))
    return folder
