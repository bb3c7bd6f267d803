"""Words and a keyframe in, prompts and masks out: Sa2VA on native transformers modules.

    templates.py    Sa2VA's prompts as token ids
    packing.py      many questions behind one picture, each as if it stood alone
    model.py        InternVL + [SEG] head + SAM-2's encoder and mask decoder
    structure.py    words written on the coarse map: mask-biased attention, FiLM
    checkpoints.py  the published layout, both ways
    grounder.py     the verb: ground(keyframe) -> answers

Theory of operation. A query is not generated but verified: "Sure, [SEG]." is given as the answer, one
prefill tells how probable it is and what the hidden state at [SEG] says, SAM-2's decoder draws it. An
improbable answer is a refusal, not a wrong mask. Memory-less decoding here, memory in
`engines.tracking`: the two never share a decoder (kumuji/Sa2VA-i shows why).
May import: torch, transformers, tokenizers, safetensors, cv2, `engines.geometry`,
`engines.tracking.checkpoints` (SAM-2's names), `streaming.vocabulary`, `streaming.errors`.
"""
