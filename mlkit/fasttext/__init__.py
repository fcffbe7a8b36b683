"""fastText: word vectors from character n-grams and linear text classifiers, in the original's files."""

from __future__ import annotations
