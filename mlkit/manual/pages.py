"""The pages of the manual: their list, their text, which page is about a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

# in this order in the list of topics; what is named nowhere is a family of commands
GROUPS: dict[str, tuple[str, ...]] = {
    "First steps": ("install", "tour-*", "troubleshooting"),
    "Commands": ("*",),
    "Coming from other tools": ("from-*",),
    "Large jobs": ("workers", "slurm", "make", "one-terabyte"),
    "Everything else": (
        "formats", "reproducibility", "limits", "library", "completions", "design", "changes",
    ),
}  # fmt: skip
_COMMENT = re.compile(r"^<!--.*?-->\n", re.M | re.S)
_FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
_PAGE_LINK = re.compile(r"\[([^\]]+)\]\((?:mlkit/manual/)?([a-z0-9-]+)\.md(?:#[^)]*)?\)")
_INNER_LINK = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")


def _folder() -> Traversable:
    return files("mlkit.manual")


@cache
def topics() -> dict[str, str]:
    """Return the title of each page by its topic, in alphabetical order."""
    names = (entry.name for entry in _folder().iterdir())
    found = sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))
    return {topic: title(page(topic)) for topic in found}


@cache
def page(topic: str) -> str:
    """Return the Markdown text of a page; KeyError if there is none."""
    if not re.fullmatch(r"[a-z0-9-]+", topic):
        raise KeyError(topic)
    try:
        return _folder().joinpath(f"{topic}.md").read_text("utf-8")
    except FileNotFoundError:
        raise KeyError(topic) from None


def title(text: str) -> str:
    """Return the title of a page, the heading of its first line, without marks."""
    return text.partition("\n")[0].lstrip("# ").replace("`", "").strip()


def grouped() -> dict[str, list[str]]:
    """Return the topics by group, both in the order of `GROUPS`."""
    left = list(topics())
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    for group, patterns in GROUPS.items():
        for pattern in patterns:
            chosen = [name for name in left if pattern != "*" and _fits(name, pattern)]
            found[group] += chosen
            left = [name for name in left if name not in chosen]
    found["Commands"] += left
    return found


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def topic_of(command: str) -> str | None:
    """Return the topic that a command (``cooccur``) belongs to: the page that names it in headings, or most often."""
    if command in topics():
        return command
    named = re.compile(rf"\bmlkit {re.escape(command)}(?![\w-])")
    # a heading that names a command counts more than any number of examples, the title more than a heading
    weights = {
        topic: 10000 * len(named.findall(title(text)))
        + 100 * sum(len(named.findall(line)) for line in re.findall(r"^#+ .*$", text.replace("`", ""), re.M))
        + min(99, len(named.findall(text)))
        for topic, text in ((topic, page(topic)) for topic in topics() if not topic.startswith("from-"))
    }
    best = max(weights, key=lambda topic: weights[topic], default=None)
    return best if best is not None and weights[best] else None


def suggestion(name: str) -> str | None:
    """Return the topic that a misspelt `name` is nearest to, if any is near."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), list(topics()), n=1, cutoff=0.6)
    if near:
        return near[0]
    return next((topic for topic in topics() if topic.split("-")[-1] == name.lower()), None)


def plain(text: str) -> str:
    """Return a page as a reader without links wants it: comments gone, links to pages as ``mlkit help TOPIC``."""
    pieces = []
    position = 0
    for fence in _FENCED.finditer(text):
        pieces += [_without_links(text[position : fence.start()]), fence[0]]
        position = fence.end()
    return "".join([*pieces, _without_links(text[position:])])


def _without_links(prose: str) -> str:
    prose = _COMMENT.sub("", prose)
    prose = _PAGE_LINK.sub(lambda found: _named(found[1], found[2]), prose)
    return _INNER_LINK.sub(r"\1", prose)


def _named(text: str, topic: str) -> str:
    call = f"`mlkit help {topic}`"
    return call if text.replace("`", "").lower() in (topic, f"mlkit help {topic}") else f"{text} ({call})"


def blocks(text: str, language: str = "sh") -> Iterator[tuple[str, str]]:
    """Yield (heading, code) of each code block in a language."""
    heading = title(text)
    position = 0
    for fence in _FENCED.finditer(text):
        headings = re.findall(r"^#+ (.+)$", text[position : fence.start()], re.M)
        heading = headings[-1].replace("`", "") if headings else heading
        position = fence.end()
        if fence["language"] == language:
            yield heading, fence["code"]
