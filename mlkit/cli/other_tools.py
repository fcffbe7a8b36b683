"""What other tools call their commands: someone who types one of these names is told ours."""

from __future__ import annotations

OURS = {
    "train-w2v": "w2v word2vec skip-gram",
    "train-glove": "glove",
    "vocab": "vocab_count",
    "fasttext": "supervised skipgram cbow predict predict-prob quantize print-word-vectors ft",
    "vectors nn": "nn distance most-similar",
    "vectors analogy": "analogies word-analogy",
    "vectors eval": "compute-accuracy",
    "bpe": "subword-nmt fastbpe tokenizers tokenize tokenizer spm sentencepiece",
    "bpe learn": "learn-bpe learnbpe learn-joint-bpe-and-vocab spm_train",
    "bpe encode": "apply apply-bpe applybpe spm_encode",
    "bpe decode": "spm_decode",
    "bpe vocab": "get-vocab getvocab",
    "ngram": "lm kenlm srilm",
    "ngram train": "lmplz",
    "ngram count": "ngram-count",
    "ngram merge": "ngram-merge",
    "ngram convert": "build_binary",
    "ngram perplexity": "query ppl",
    "bleu": "sacrebleu multi-bleu",
    "ter": "tercom",
    "boost": "lightgbm xgboost gbdt adaboost",
    "bag": "forest random-forest bagging",
    "net": "mlp",
    "lr-find": "lr_find lr-finder",
    "batch": "sbatch slurm",
}


def ours(name: str) -> str | None:
    """Return mlkit's command for another tool's `name`, None if the name is not known."""
    wanted = name.lower()
    return next((command for command, names in OURS.items() if wanted in names.split()), None)
