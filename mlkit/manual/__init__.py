"""The manual: a Markdown page for each family of commands and each topic, and what finds and converts them.

>>> from mlkit import manual
>>> manual.topics()["vectors"]
'Queries and evaluation of word vectors: mlkit vectors'
>>> manual.topic_of("cooccur")
'glove'

A page is a file TOPIC.md of this folder; its first line, ``# title``, stands in the list of topics.
A new file is enough.
"""

from mlkit.manual.pages import GROUPS, blocks, page, plain, suggestion, title, topic_of, topics
from mlkit.manual.roff import man_page

__all__ = [
    "GROUPS", "blocks", "man_page", "page", "plain", "suggestion", "title", "topic_of", "topics",
]  # fmt: skip
