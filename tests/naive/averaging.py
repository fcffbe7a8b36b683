"""How the changes of workers are put together, row by row."""

from __future__ import annotations

import math
from typing import Any


def naive_put_together(
    weights: list[list[float]], moves: list[list[float]], changes: Any, strength: list[float]
) -> tuple[list[list[float]], list[list[float]]]:
    """Return new weights and new moves."""
    new_weights, new_moves = [], []
    for row, (old, last) in enumerate(zip(weights, moves, strict=True)):
        made = [values[list(rows).index(row)].tolist() for rows, values in changes if row in rows]
        total = [sum(one[k] for one in made) - len(made) * old[k] for k in range(len(old))]
        share = 1.0
        if len(made) > 1:
            q = strength[row]
            share = (1 - math.exp(-len(made) * q)) / (len(made) * (1 - math.exp(-q)))
        move = [share * total[k] + (1 - share) * last[k] for k in range(len(old))]
        new_moves.append(move)
        new_weights.append([old[k] + move[k] for k in range(len(old))])
    return new_weights, new_moves
