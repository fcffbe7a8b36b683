"""Networks: mlkit against scikit-learn's MLP at equal layers, batch, epochs and optimiser, one thread each."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.harness import Table, data, measure, mlkit_command, python_command, ratio, verdict

TITLE = "Neural networks"
PEERS = ("scikit-learn",)
SETS = {
    "adult": ("tabular/adult.train.csv", "income"),
    "letter": ("tabular/letter.csv", "letter"),
    "california_housing": ("tabular/california_housing.csv", "median_house_value"),
}
EPOCHS, SEEDS, PART = 10, (1, 2, 3), 0.2

# both train on the same standardised, one-hot inputs (float64 for scikit-learn, its users' default; float32 here)
FIT = """
import json, sys, time, warnings
import numpy as np
from threadpoolctl import threadpool_limits
from mlkit.formats.tables import read_table
from mlkit.nets import NetSettings
from mlkit.nets.model import NetModel
from mlkit.nets.train import prepare
from mlkit.trees import Columns, evaluate
from mlkit.trees.validation import hold_out
path, target, epochs, seed, part = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
table = read_table(path)
task = "regression" if "housing" in path else "auto"
settings = NetSettings(epochs=epochs, seed=seed, categories="one-hot", batch=200, layers=(100, "relu"))
whole = prepare(table, Columns(target, task=task), settings)
held = hold_out(whole.target.values, part, seed, stratified=bool(whole.target.classes))
kept, other = table.take(~held), table.take(held)
truth = whole.target.values[held]
ready = prepare(kept, Columns(target, task=task), settings)
begun = time.process_time()
ready.trainer.run()
ours = time.process_time() - begun
classes = ready.target.classes
model = NetModel(target, classes, ready.encoder, ready.trainer.network, (), ready.scale)
name = "log_loss" if classes else "rmse"
found = {"mlkit": {"cpu": ours, "loss": evaluate(model.predict(other), truth, classes)[name]}}
from sklearn.neural_network import MLPClassifier, MLPRegressor
warnings.simplefilter("ignore")
x = ready.encoder.encode(kept, np.float64).numbers
y = whole.target.values[~held]
same = dict(hidden_layer_sizes=(100,), batch_size=200, max_iter=epochs, n_iter_no_change=10**6, tol=0.0, alpha=0.0,
            random_state=seed)
mlp = MLPClassifier(**same) if classes else MLPRegressor(**same)
with threadpool_limits(1):
    begun = time.process_time()
    mlp.fit(x, y if classes else (y - ready.scale[0]) / ready.scale[1])
    theirs = time.process_time() - begun
inputs = ready.encoder.encode(other, np.float64).numbers
guess = mlp.predict_proba(inputs) if classes else mlp.predict(inputs) * ready.scale[1] + ready.scale[0]
found["sklearn"] = {"cpu": theirs, "loss": evaluate(guess, truth, classes)[name]}
x32 = x.astype(np.float32)
mlp = MLPClassifier(**same) if classes else MLPRegressor(**same)
with threadpool_limits(1):
    begun = time.process_time()
    mlp.fit(x32, y if classes else ((y - ready.scale[0]) / ready.scale[1]).astype(np.float32))
    found["sklearn32"] = {"cpu": time.process_time() - begun}
print(json.dumps(found))
"""

# a whole job as a user would write it: read, encode, fit
WHOLE = """
import sys, warnings
import numpy as np, polars as pl
from sklearn.neural_network import MLPClassifier, MLPRegressor
warnings.simplefilter("ignore")
path, target, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
frame = pl.read_csv(path, infer_schema_length=None, null_values=["?", "NA"])
parts = []
for name in frame.columns:
    if name == target:
        continue
    s = frame[name]
    if s.dtype == pl.String:
        parts.append(s.to_dummies().to_numpy().astype(np.float64))
    else:
        v = s.cast(pl.Float64).fill_null(s.mean()).to_numpy()
        parts.append(((v - v.mean()) / v.std())[:, None])
x = np.hstack(parts)
del parts
y = frame[target]
same = dict(hidden_layer_sizes=(100,), batch_size=200, max_iter=epochs, n_iter_no_change=10**6, tol=0.0)
if y.dtype == pl.String:
    MLPClassifier(**same).fit(x, y.to_numpy())
else:
    v = y.cast(pl.Float64).to_numpy()
    MLPRegressor(**same).fit(x, (v - v.mean()) / v.std())
"""


def run() -> Iterator[Table]:
    """Yield the tables."""
    yield fits()
    yield whole_jobs()
    yield range_tests()


def fits() -> Table:
    """Time the fit alone, and compare the losses on held-out rows."""
    rows = []
    for name, (path, target) in SETS.items():
        results = [
            json.loads(measure(python_command(FIT, data(path), target, EPOCHS, seed, PART)).stdout)
            for seed in SEEDS
        ]

        def best(tool: str, results: list[dict[str, dict[str, float]]] = results) -> float:
            return min(result[tool]["cpu"] for result in results)

        def losses(tool: str, results: list[dict[str, dict[str, float]]] = results) -> list[float]:
            return [result[tool]["loss"] for result in results]

        ours, theirs = losses("mlkit"), losses("sklearn")
        differences = [100 * (mine / other - 1) for mine, other in zip(ours, theirs, strict=True)]
        mean, error = statistics.mean(differences), statistics.stdev(differences) / len(SEEDS) ** 0.5
        rows.append([
            name, f"{best('mlkit'):.2f} s", f"{best('sklearn'):.2f} s", ratio(best("mlkit"), best("sklearn")), "0.60x",
            verdict(best("mlkit") <= 0.6 * best("sklearn")), ratio(best("mlkit"), best("sklearn32")),
            " ".join(f"{x:.5g}" for x in ours), " ".join(f"{x:.5g}" for x in theirs), f"{mean:+.2f} % ± {error:.2f}",
            verdict(mean <= error),
        ])  # fmt: skip
    return Table(
        f"Fit, {EPOCHS} epochs, one hidden layer of 100, Adam, batches of 200, one thread",
        ("table", "mlkit CPU", "scikit-learn CPU", "ratio", "target", "reached", "ratio to its float32",
         "mlkit held-out loss", "scikit-learn's", "difference", "equal or better"),
        rows, "Least CPU of three seeds. The loss is log loss or RMSE on a held-out fifth; its difference is the mean "
        "over the seeds with its standard error, and means within that error count as equal.",
    )  # fmt: skip


def whole_jobs() -> Table:
    """Measure whole processes: read, encode, fit."""
    rows = []
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, target) in SETS.items():
            task = ["--task", "regression"] if "housing" in name else []
            ours = measure(
                mlkit_command("net", "train", data(path), "--target", target, "--epochs", EPOCHS, "--categories",
                              "one-hot", "-q", "-o", Path(folder) / "m.net", *task), env=dict(one),
            )  # fmt: skip
            theirs = measure(python_command(WHOLE, data(path), target, EPOCHS), env=dict(one))
            rows.append([
                name, f"{ours.cpu:.2f} s", f"{theirs.cpu:.2f} s", ratio(ours.cpu, theirs.cpu), f"{ours.rss_mb:.0f} MB",
                f"{theirs.rss_mb:.0f} MB", ratio(ours.rss_mb, theirs.rss_mb), "1.00x",
                verdict(ours.rss_mb <= theirs.rss_mb),
            ])  # fmt: skip
    columns = ("table", "mlkit CPU", "scikit-learn CPU", "ratio", "mlkit memory", "scikit-learn memory", "ratio",
               "target", "reached")  # fmt: skip
    return Table("Whole jobs: read the table, encode, fit", columns, rows)


def range_tests() -> Table:
    """Split the time of whole range tests of net into the training steps and all that lr-find does besides."""
    from mlkit.formats.table_files import read_table
    from mlkit.lr_find import range_tests, suggest
    from mlkit.nets import NetSettings
    from mlkit.nets.train import prepare
    from mlkit.range_test import Sweep
    from mlkit.tables.columns import Columns
    from mlkit.threads import blas_threads

    path, target = SETS["adult"]
    settings = NetSettings()
    ready = prepare(read_table(data(path)), Columns(target), settings)
    clock = time.thread_time
    found: list[tuple[float, float]] = []  # of every test: time in steps, time besides
    for _ in range(31):
        trainer, _ = ready.fresh(settings)
        inside = 0.0

        def points(rates: Sequence[float], repeat: int) -> Iterator[tuple[float, float]]:
            nonlocal inside
            with blas_threads(1), np.errstate(all="ignore"):  # as the trainer's own sweep
                for rate in rates:
                    begun = clock()
                    loss = trainer.step(rate)  # noqa: B023
                    inside += clock() - begun
                    yield rate, loss

        begun = clock()
        suggest(range_tests(Sweep(points, 1e-6, 1e-2), steps=400, progress=lambda report: None))
        found.append((inside, clock() - begun - inside))
    shares = sorted(100 * own / steps for steps, own in found[1:])  # the first test warms up
    share = statistics.median(shares)
    of_steps, own = (1000 * statistics.median(times) for times in zip(*found[1:], strict=True))
    return Table(
        "Range test of net on adult, 400 steps: lr-find's own share",
        ("training steps", "lr-find besides", "overhead", "least to most", "target", "reached"),
        [[f"{of_steps:.1f} ms", f"{own:.2f} ms", f"{share:.2f} %", f"{shares[0]:.2f} to {shares[-1]:.2f} %", "5 %",
          verdict(share <= 5)]],
        "CPU time of the thread, medians of 30 tests; smoothing, stopping, progress and all rules are lr-find's.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit("run it as: python -m tests.benchmarks net")
