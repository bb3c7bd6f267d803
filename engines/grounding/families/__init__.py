"""Families of multimodal language models that Sa2VA is built on, and what differs between them.

    base.py          the protocol `Family`, and the types it uses
    internvl.py      InternViT with Qwen2, Qwen2.5, Qwen3, Llama or InternLM2
    internlm2.py     InternLM2's configuration and weights as a Llama's
    qwen.py          Qwen2.5-VL and Qwen3-VL
    conv_stem.py     nano's patch embedding
    registry.py      config.json → family

Depends on torch and transformers; contains nothing about SAM-2, tokenizers or files.
"""
