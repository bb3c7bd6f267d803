"""Families of multimodal language models that say `[SEG]`: what differs between them, and nothing else.

    base.py        what the grounder needs of a family
    internvl.py    InternViT and Qwen2, Qwen2.5, Qwen3, Llama or InternLM2
    internlm2.py   InternLM2 as a Llama
    qwen.py        Qwen2.5-VL and Qwen3-VL
    stem.py        nano's patch embedding
    choose.py      config.json → family

Of torch and transformers only; a family knows no SAM-2, no tokenizer and no file.
"""
