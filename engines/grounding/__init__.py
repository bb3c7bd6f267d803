"""Words and a keyframe in, prompts and masks out: Sa2VA on native transformers modules.

    templates.py    Sa2VA's prompts as token ids
    packing.py      many questions behind one picture, each as if it stood alone
    pictures.py     resized, tiled, normalised
    families/       InternVL and Qwen: what differs between them
    model.py        a language model of a family + [SEG] head + SAM-2's encoder and mask decoder
    structure.py    words written on the coarse map: mask-biased attention, FiLM
    spelling.py     a checkpoint's tokenizer, however it was saved
    layout.py       where tensors are in a published checkpoint, both ways
    weights.py      published tensors into a model, mapped, not copied
    devices.py      where it runs, and in which numbers
    hub.py          a checkpoint by its name on a model hub
    checkpoints.py  a folder → a model and its template, and back
    regions.py      what a person pointed at, as the model reads it
    sight.py        a keyframe as it is looked at: each picture once
    prefix.py       pictures before every question about them, read once
    together.py     keyframes of several streams, looked at and read in one go
    speech.py       answers in words
    steps.py        where a grounding's time goes
    grounder.py     the verb: ground(keyframe) -> answers
    shapes.py       published shapes with random weights, to measure on

Theory of operation. A query is not generated but verified: "Sure, [SEG]." is given as the answer, one
prefill tells how probable it is and what the hidden state at [SEG] says, SAM-2's decoder draws it. An
improbable answer is a refusal, not a wrong mask. Memory-less decoding here, memory in
`engines.tracking`: the two never share a decoder (kumuji/Sa2VA-i shows why).
May import: torch, transformers, tokenizers, safetensors, cv2, `engines.geometry`,
`engines.tracking.checkpoints` (SAM-2's names), `streaming.vocabulary`, `streaming.errors`.
"""
