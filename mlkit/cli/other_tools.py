"""What other tools call their commands and options: someone who types one of these names is told ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SIMILAR = 0.7  # below this a suggestion would be a guess

OURS = {
    "train-w2v": "w2v word2vec skip-gram",
    "train-glove": "glove",
    "vocab": "vocab_count",
    "fasttext": "supervised skipgram cbow predict predict-prob quantize print-word-vectors ft classify",
    "vectors": "gensim",
    "vectors nn": "nn distance most-similar most_similar neighbours neighbors",
    "vectors analogy": "analogies word-analogy",
    "vectors eval": "compute-accuracy",
    "bpe": "subword-nmt fastbpe tokenizers tokenize tokenizer spm sentencepiece tiktoken",
    "bpe learn": "learn-bpe learnbpe learn-joint-bpe-and-vocab spm_train",
    "bpe encode": "apply apply-bpe applybpe spm_encode",
    "bpe decode": "spm_decode",
    "bpe vocab": "get-vocab getvocab",
    "ngram": "lm kenlm srilm nltk",
    "ngram train": "lmplz",
    "ngram count": "ngram-count",
    "ngram merge": "ngram-merge",
    "ngram convert": "build_binary",
    "ngram perplexity": "query ppl perplexity",
    "bleu": "sacrebleu multi-bleu",
    "ter": "tercom",
    "boost": "lightgbm xgboost gbdt adaboost sklearn scikit-learn",
    "bag": "forest random-forest bagging",
    "net": "mlp",
    "resample": "shuffle",
    "kmeans": "k-means cluster clustering",
    "gmm": "mixture em",
    "lr-find": "lr_find lr-finder",
    "batch": "sbatch slurm",
    "--help": "usage",
    "--version": "version",
}

# what other tools call the subcommands of ours, by the group that is asked
SUBCOMMANDS = {
    "bpe": {"learn": "train", "encode": "apply tokenize", "decode": "detokenize"},
    "ngram": {"perplexity": "eval evaluate ppl query test", "train": "fit build", "generate": "sample"},
    "vectors": {
        "nn": "neighbours neighbors similar most-similar most_similar knn", "eval": "similarity evaluate",
        "analogy": "analogies",
    },
    "boost": {"train": "fit", "eval": "test evaluate score", "importance": "shap explain", "inspect": "show"},
    "bag": {"train": "fit", "eval": "test evaluate score", "importance": "shap explain", "inspect": "show"},
    "stack": {"train": "fit", "eval": "test evaluate score"},
    "net": {"train": "fit", "eval": "test evaluate score"},
    "kmeans": {"train": "fit", "assign": "predict", "eval": "score silhouette"},
    "gmm": {"train": "fit", "assign": "predict", "eval": "score"},
    "fasttext": {"supervised": "train fit", "predict": "classify", "nn": "neighbours neighbors most-similar"},
}  # fmt: skip

_TREES = {
    "--rounds": "--n-estimators --num-iterations --num_iterations --n_estimators --nrounds --num-trees --iterations",
    "--loss": "--objective --criterion", "--learning-rate": "--eta --shrinkage --alpha",
    "--leaves": "--num-leaves --num_leaves --max-leaf-nodes", "--rows": "--bagging-fraction --subsample",
    "--columns": "--feature-fraction --colsample-bytree", "--l2": "--lambda --lambda-l2 --reg-lambda",
    "--l1": "--lambda-l1 --reg-alpha", "--bins": "--max-bin --max-bins", "--target": "--label --label-column --y",
    "--min-leaf": "--min-data-in-leaf --min-samples-leaf --min-child-samples", "--threads": "--num-threads --n-jobs",
    "--early-stop": "--early-stopping-rounds --early-stopping", "--features": "--max-features",
    "--max-depth": "--depth", "--valid": "--valid-data --test", "--output": "--output-model --model",
}  # fmt: skip
_VECTORS = {
    "--dim": "--size --vector-size --vector_size --layer1-size", "--epochs": "--iter --iterations --niter",
    "--lr": "--alpha --learning-rate", "--threads": "--workers --num-threads", "--negative": "--neg -neg",
    "--window": "--ws --window-size", "--min-count": "--mincount --vocab-min-count", "--sample": "--subsample",
    "--model": "--cbow --skipgram --sg", "--loss": "--hs", "--k": "--topn --top", "-k": "--topn --top --n",
    "--output": "--save --output-file",
}  # fmt: skip
# what other tools call options of ours, by command
OPTIONS = {
    "train-w2v": _VECTORS, "train-glove": _VECTORS, "fasttext": _VECTORS, "vectors": _VECTORS, "boost": _TREES,
    "bag": _TREES, "stack": _TREES,
    "net": _TREES | {
        "--layers": "--hidden-layer-sizes --hidden", "--epochs": "--max-iter --n-epochs --iter",
        "--batch": "--batch-size", "--lr": "--alpha --learning-rate --learning-rate-init", "--l2": "--weight-decay",
        "--optimiser": "--solver",
    },
    "kmeans": {"-k": "--n-clusters --clusters --k", "--runs": "--n-init", "--max-iterations": "--max-iter"},
    "gmm": {
        "-k": "--n-components --components --gaussians", "--covariance": "--covariance-type", "--reg": "--reg-covar",
    },
    "bpe": {
        "--merges": "-S --symbols --num-merges", "--vocab-size": "--vocab_size --size", "--model": "--codes -c",
        "--min-count": "--min-frequency",
    },
    "ngram": {"--order": "-S --n", "--memory": "-S", "--text": "--lm-text", "--smoothing": "--discount"},
    "vocab": {"--min-count": "--min-frequency", "--max-vocab": "--max-size --size"},
}  # fmt: skip


def ours(name: str, group: str = "") -> str | None:
    """Return mlkit's command for another tool's `name` (inside a group of ours, if one is named), or None."""
    wanted = name.lower()
    inside = SUBCOMMANDS.get(group, {})
    found = next((command for command, names in inside.items() if wanted in names.split()), None)
    if found is not None:
        return f"{group} {found}"
    return next((command for command, names in OURS.items() if wanted in names.split()), None)


def our_option(name: str, command: str, known: Iterable[str]) -> str | None:
    """Return our option for another tool's `name`, or the most similar of the command's own; None without one."""
    names = list(known)
    foreign = OPTIONS.get(command.split()[0] if command else "", {})
    for own, others in foreign.items():
        if name in others.split() and own in names:
            return own
    return similar(name, names)


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar name, if one is similar enough to be meant."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=SIMILAR)
    return close[0] if close else None
