"""One tree in words and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mlkit.errors import UsageError
from mlkit.trees.ensemble import Tree
from mlkit.trees.model import TreeModel

WIDTH, HEIGHT, GAP = 150, 44, 36


def pick_tree(model: TreeModel, number: int) -> Tree:
    """Return tree `number` (from 0)."""
    if not 0 <= number < len(model.trees):
        raise UsageError(f"tree {number}: the model has trees 0 to {len(model.trees) - 1}")
    return model.trees.tree(number)


def condition(model: TreeModel, tree: Tree, node: int) -> str:
    """Return the question at an inner node: ``age <= 39.5 or missing``, ``sex in {Female}``."""
    feature = model.encoder.features[int(tree.feature[node])]
    missing = " or missing" if tree.missing[node] == 255 else ""
    if tree.set_of[node] >= 0:
        left = left_categories(tree, node, feature.bins)
        return f"{feature.name} in {{{', '.join(feature.categories[b] for b in left)}}}{missing}"
    bin_ = int(tree.threshold[node])
    if feature.categorical:
        return f"{feature.name} in {{{', '.join(feature.categories[: bin_ + 1])}}}{missing}"
    if bin_ >= len(feature.edges):
        return f"{feature.name} is not missing"
    return f"{feature.name} <= {feature.edges[bin_]:.6g}{missing}"


def left_categories(tree: Tree, node: int, bins: int) -> list[int]:
    """Return the bins that go left at a categorical split, missing values apart."""
    words = tree.sets[tree.set_of[node]].tolist()
    return [b for b in range(bins) if words[b >> 6] >> (b & 63) & 1]


def leaf_text(model: TreeModel, number: int, node: int) -> str:
    """Return what a leaf says: its value, or the shares of its classes."""
    trees = model.trees
    at = int(trees.roots[number]) + node
    if trees.votes is None or trees.begin is None or trees.classes is None:
        return f"{trees.value[at]:.6g}"
    leaf = int((trees.left[:at] == 0).sum())
    first, last = int(trees.begin[leaf]), int(trees.begin[leaf + 1])
    return ", ".join(f"{model.classes[trees.classes[k]]} {trees.votes[k]:.3g}" for k in range(first, last))


def tree_lines(model: TreeModel, number: int, most_depth: int = 0) -> Iterator[str]:
    """Yield a tree as indented text, the "yes" branch first; `most_depth` 0 shows all."""
    tree = pick_tree(model, number)
    stack: list[tuple[int, int, str]] = [(0, 0, "")]
    while stack:
        node, depth, prefix = stack.pop()
        indent = "  " * depth + prefix
        if tree.left[node] == 0:
            yield f"{indent}{leaf_text(model, number, node)}  ({tree.count[node]} rows)"
        elif most_depth and depth >= most_depth:
            yield f"{indent}..."
        else:
            yield f"{indent}{condition(model, tree, node)}  [gain {tree.gain[node]:.6g}]"
            left = node + int(tree.left[node])
            stack += [(left + 1, depth + 1, "no: "), (left, depth + 1, "yes: ")]


def tree_svg(model: TreeModel, number: int, most_depth: int = 4) -> str:
    """Return a drawing of the top of a tree as SVG."""
    tree = pick_tree(model, number)
    places: dict[int, tuple[float, int]] = {}
    cut: set[int] = set()
    columns = 0

    def place(node: int, depth: int) -> float:
        nonlocal columns
        if tree.left[node] == 0 or depth >= most_depth:
            if tree.left[node]:
                cut.add(node)
            x = float(columns)
            columns += 1
        else:
            left = node + int(tree.left[node])
            x = (place(left, depth + 1) + place(left + 1, depth + 1)) / 2
        places[node] = (x, depth)
        return x

    place(0, 0)
    deepest = max(depth for _, depth in places.values())
    width, height = columns * (WIDTH + 12) + 12, (deepest + 1) * (HEIGHT + GAP) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" text-anchor="middle">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for node, (x, depth) in sorted(places.items()):
        cx, top = 12 + x * (WIDTH + 12) + WIDTH / 2, 8 + depth * (HEIGHT + GAP)
        inner = tree.left[node] > 0 and node not in cut
        if inner:
            left = node + int(tree.left[node])
            for child, word in ((left, "yes"), (left + 1, "no")):
                tx = 12 + places[child][0] * (WIDTH + 12) + WIDTH / 2
                ty = 8 + (depth + 1) * (HEIGHT + GAP)
                parts.append(f'<line x1="{cx:g}" y1="{top + HEIGHT}" x2="{tx:g}" y2="{ty}" stroke="#888"/>')
                middle = (top + HEIGHT + ty) / 2
                parts.append(f'<text x="{(cx + tx) / 2:g}" y="{middle:g}" fill="#555">{word}</text>')
        text = (
            condition(model, tree, node)
            if inner
            else "..."
            if node in cut
            else leaf_text(model, number, node)
        )
        below = (
            f"gain {tree.gain[node]:.4g}" if inner else f"{tree.count[node]} rows" if node not in cut else ""
        )
        shade = "#e8f0fb" if inner else "#eef7ea"
        parts.append(
            f'<rect x="{cx - WIDTH / 2:g}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{shade}" '
            f'stroke="#678"><title>{escape(text)}</title></rect>'
        )
        short = text if len(text) <= 26 else text[:25] + "…"
        parts.append(f'<text x="{cx:g}" y="{top + 18}">{escape(short)}</text>')
        parts.append(f'<text x="{cx:g}" y="{top + 34}" fill="#555">{below}</text>')
    return "\n".join([*parts, "</svg>", ""])
