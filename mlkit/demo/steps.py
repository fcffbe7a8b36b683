"""What the demonstration runs, in order: every capability adds its commands here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A sentence that says what is done, and the command line that does it, inside the demonstration's folder."""

    title: str
    command: str


WORDS = "red green blue one two three four five row column matrix vector array string integer float"

STEPS = (
    Step(
        "Learn word vectors from it",
        "mlkit train-w2v documentation.txt -o vectors.txt --dim 80 --window 5 --epochs 8 --lr 0.05",
    ),
    Step("Which words are used like 'red'?", "mlkit vectors nn vectors.txt red -k 6"),
    Step("... like 'cosine'?", "mlkit vectors nn vectors.txt cosine -k 6"),
    Step("... like 'thread'?", "mlkit vectors nn vectors.txt thread -k 6"),
    Step(
        "'row' is to 'rows' as 'column' is to ...?", "mlkit vectors analogy vectors.txt row rows column -k 3"
    ),
    Step(
        "A picture of some neighbourhoods", f"mlkit vectors plot vectors.txt {WORDS} --oov skip -o words.svg"
    ),
    Step("The same picture here", f"mlkit vectors plot vectors.txt {WORDS} --oov skip"),
    Step("Learn subword pieces", "mlkit bpe learn documentation.txt -o tokenizer.json --vocab-size 4000"),
    Step("... and see how they cut words", "mlkit bpe inspect tokenizer.json unparsable multithreading"),
    Step("Learn a language model of words", "mlkit ngram train documentation.txt -o words.bin --order 3"),
    Step(
        "... and let it write", "mlkit ngram generate words.bin --beam 5 --length 12 --prefix 'returns the'"
    ),
)
