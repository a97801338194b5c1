"""What published vision-language models say of themselves in their `config.json`.

Only what decides shapes and arithmetic; of Hugging Face's repositories HuggingFaceTB/SmolVLM2-*,
google/paligemma2-3b-pt-224 and Qwen/Qwen2.5-VL-3B-Instruct, written down by hand.
"""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]

_SIGLIP_BASE = {
    "model_type": "smolvlm_vision",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "patch_size": 16,
    "image_size": 512,
}
_SIGLIP_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "patch_size": 14,
}


def _smolvlm2(vision: Config, scale_factor: int, **text: Any) -> Config:
    return {
        "model_type": "smolvlm",
        "image_token_id": 49190,
        "scale_factor": scale_factor,
        "text_config": {
            "model_type": "llama",
            "vocab_size": 49280,
            "head_dim": 64,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "pad_token_id": 2,
            **text,
        },
        "vision_config": vision,
    }


SMOLVLM2_256M = _smolvlm2(
    _SIGLIP_BASE,
    4,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    rope_theta=100_000.0,
)
SMOLVLM2_500M = _smolvlm2(
    _SIGLIP_BASE,
    4,
    hidden_size=960,
    intermediate_size=2560,
    num_hidden_layers=32,
    num_attention_heads=15,
    num_key_value_heads=5,
    rope_theta=100_000.0,
)
SMOLVLM2_2B = _smolvlm2(
    {"model_type": "smolvlm_vision", "image_size": 384, **_SIGLIP_SO400M},
    3,
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=24,
    num_attention_heads=32,
    num_key_value_heads=32,
    rope_theta=130_000.0,
)
PALIGEMMA2_3B = {
    "model_type": "paligemma",
    "projection_dim": 2304,
    "image_token_index": 257152,
    "text_config": {
        "model_type": "gemma2",
        "vocab_size": 257216,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
        "rope_theta": 10_000.0,
    },
    "vision_config": {
        "model_type": "siglip_vision_model",
        "image_size": 224,
        "vision_use_head": False,
        **_SIGLIP_SO400M,
    },
}
QWEN2_5_VL_3B = {
    "model_type": "qwen2_5_vl",
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "use_sliding_window": False,
    "sliding_window": 32768,
    "max_window_layers": 70,
    "tie_word_embeddings": True,
    "vision_config": {
        "depth": 32,
        "hidden_act": "silu",
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 2048,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    },
}
