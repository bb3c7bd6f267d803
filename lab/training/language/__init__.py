"""What is said of the drawn world: expressions that mean some of its things, questions, captions.

    words.py         all words, and every way to put a meaning     view.py          what is certain of a frame
    nouns.py         names, and what they mean                     expressions.py   all kinds in proportion
    naming.py        colour, kind, both, several, all but          placing.py       size, place, order
    relating.py      beside, before, behind                        moving.py        what moved, and how
    questions.py     how many, what colour, is there, which is     captions.py      phrases that point

Rules. A fact is yes, no, or None where a careful person could doubt it; what hangs on a None is never said.
What is absent is said of near misses first. Words never name what the clip's set holds out. To widen the
language: a way to say a thing is a string in `words`; a kind of expression is a generator of sayings and a
line in `expressions`.
May import: numpy, `lab.training.world`, itself.
"""
