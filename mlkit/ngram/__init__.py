"""N-gram language models: counting, smoothing, queries, generation, mixing and pruning.

The chain rule writes the probability of a sentence as a product, p(w1 ... wT) = prod_t p(wt | w1 ... w(t-1));
the Markov assumption of order n cuts every history to its last n-1 words. `</s>` is predicted, `<s>` only
conditions.
"""

from __future__ import annotations
