"""The architectures that every run checks, with tiny configs."""

from __future__ import annotations

from tests.frontends.huggingface.kinds import (
    CAUSAL,
    IMAGE,
    IMAGE_AND_TEXT,
    SEQ2SEQ,
    SPECTROGRAM,
    TEXT,
    WAVEFORM,
)
from tests.frontends.huggingface.row import row

SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
BERT = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    **SPECIAL,
}
LLAMA = {**BERT, "num_key_value_heads": 2, "head_dim": 8}
VIT = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
}
GPT2 = {
    "vocab_size": 99,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {
    "vocab_size": 99,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 37,
    "num_layers": 2,
    "num_heads": 4,
}
BART = {
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "max_position_embeddings": 64,
    **SPECIAL,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [1, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
RESNET = {
    "embedding_size": 10,
    "hidden_sizes": [10, 20, 30],
    "depths": [1, 1, 2],
    "layer_type": "basic",
}
WAV2VEC2 = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "conv_dim": (16, 16, 16),
    "conv_stride": (4, 2, 2),
    "conv_kernel": (8, 3, 3),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 3,
}
CLIP_TEXT = {**BERT, "max_position_embeddings": 64}

REQUIRED = (
    row("BertModel", TEXT, **BERT),
    row("DistilBertModel", TEXT, vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37),
    row("RobertaModel", TEXT, **BERT),
    row("AlbertModel", TEXT, **BERT, embedding_size=16),
    row(
        "ModernBertModel",
        TEXT,
        **BERT,
        global_attn_every_n_layers=2,
        local_attention=4,
        cls_token_id=1,
        sep_token_id=2,
    ),
    row("GPT2LMHeadModel", CAUSAL, **GPT2),
    row("GPTNeoXForCausalLM", CAUSAL, **BERT),
    row("LlamaForCausalLM", CAUSAL, **LLAMA),
    row("MistralForCausalLM", CAUSAL, **LLAMA, sliding_window=4),
    row("Qwen2ForCausalLM", CAUSAL, **LLAMA),
    row("Qwen3ForCausalLM", CAUSAL, **LLAMA),
    row("Gemma2ForCausalLM", CAUSAL, **LLAMA, sliding_window=4),
    row("Phi3ForCausalLM", CAUSAL, **LLAMA),
    row("OPTForCausalLM", CAUSAL, **BERT, ffn_dim=37, word_embed_proj_dim=32),
    row("T5Model", SEQ2SEQ, **T5),
    row("BartModel", SEQ2SEQ, **BART),
    row("ViTModel", IMAGE, **VIT),
    row("DeiTModel", IMAGE, **VIT),
    row("SwinModel", IMAGE, **SWIN),
    row("ConvNextModel", IMAGE, hidden_sizes=[10, 20, 30, 40], depths=[1, 1, 2, 1]),
    row("ResNetModel", IMAGE, **RESNET),
    row("RegNetModel", IMAGE, **{**RESNET, "layer_type": "y", "groups_width": 5}),
    row(
        "EfficientNetModel",
        IMAGE,
        image_size=32,
        width_coefficient=0.5,
        depth_coefficient=0.2,
        hidden_dim=640,
        in_channels=[32, 16, 24],
        out_channels=[16, 24, 40],
        kernel_sizes=[3, 3, 5],
        strides=[1, 2, 2],
        num_block_repeats=[1, 1, 2],
        expand_ratios=[1, 6, 6],
        depthwise_padding=[],
    ),
    row("MobileNetV2Model", IMAGE, image_size=32, depth_multiplier=0.25),
    row(
        "SegformerForSemanticSegmentation",
        IMAGE,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 16, 32],
        num_attention_heads=[1, 2, 2, 4],
        decoder_hidden_size=16,
        num_labels=3,
    ),
    row("Dinov2Model", IMAGE, **VIT),
    row("CLIPModel", IMAGE_AND_TEXT, text_config=CLIP_TEXT, vision_config=VIT, projection_dim=24),
    row(
        "WhisperModel",
        SPECTROGRAM,
        **BART,
        num_mel_bins=16,
        max_source_positions=30,
        max_target_positions=64,
    ),
    row("Wav2Vec2Model", WAVEFORM, **WAV2VEC2),
)
