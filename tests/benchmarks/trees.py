"""Tree ensembles: mlkit against LightGBM and scikit-learn, in one process and as whole processes."""

from __future__ import annotations

import functools
import os
import pickle
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.harness import Table, data, measure, mlkit_command, python_command, ratio, verdict

TITLE = "Tree ensembles"
PEERS = ("lightgbm", "scikit-learn")
SETS = {
    "adult": ("tabular/adult.train.csv", "income", "binary"),
    "california_housing": ("tabular/california_housing.csv", "median_house_value", "regression"),
    "diamonds": ("tabular/diamonds.csv", "price", "regression"),
    "letter": ("tabular/letter.csv", "letter", "multiclass"),
    "flights_cls": ("tabular/flights_cls.csv", "late", "binary"),
    "flights_reg": ("tabular/flights_reg.csv", "arr_delay", "regression"),
}
BYTES = {"flights_cls": 22 + 18, "flights_reg": 24 + 20}  # a row's bins: one byte a column, and packed
SCRIPT = """
import sys, pickle, numpy as np, polars as pl
tool, what, path, target, task, model = sys.argv[1:]
frame = pl.read_csv(path, infer_schema_length=None, null_values=["?", "NA"])
y = frame[target]
y = y.cast(pl.Categorical).to_physical().to_numpy() if y.dtype == pl.String else y.to_numpy()
columns, categorical = [], []
for place, name in enumerate(n for n in frame.columns if n != target):
    s = frame[name]
    if s.dtype in (pl.String, pl.Boolean):
        categorical.append(place)
        s = s.cast(pl.String).cast(pl.Categorical).to_physical()
    columns.append(s.cast(pl.Float64).fill_null(float("nan")).to_numpy())
x = np.column_stack(columns)
if tool == "lightgbm":
    import lightgbm as lgb
    if what == "train":
        p = dict(objective=task, num_threads=1, verbose=-1, num_class=26 if task == "multiclass" else 1)
        lgb.train(p, lgb.Dataset(x, y, categorical_feature=categorical), 100).save_model(model)
    else:
        np.savetxt(sys.stdout, lgb.Booster(model_file=model).predict(x, num_threads=1), delimiter=",")
else:
    from sklearn.ensemble import HistGradientBoostingClassifier as C, HistGradientBoostingRegressor as R
    if what == "train":
        m = (R if task == "regression" else C)(early_stopping=False, categorical_features=categorical or None)
        pickle.dump(m.fit(x, y), open(model, "wb"))
    else:
        m = pickle.load(open(model, "rb"))
        np.savetxt(sys.stdout, m.predict(x) if task == "regression" else m.predict_proba(x), delimiter=",")
"""


@dataclass(frozen=True)
class Problem:
    """A data set, four fifths for training: as mlkit's tables and as matrices."""

    name: str
    target: str
    task: str
    train: Any
    test: Any
    x: Any
    y: Any
    v: Any
    truth: Any
    categorical: list[int]
    classes: tuple[str, ...]


@functools.lru_cache(maxsize=1)
def load(name: str, split: int = 0) -> Problem:
    import polars as pl

    from mlkit.formats.table_files import Table as Rows
    from mlkit.formats.table_files import read_table
    from mlkit.tables.target import read_target

    file, target, task = SETS[name]
    rows = read_table(data(file))
    goal = read_target(rows, target)
    names = [n for n in rows.names if n != target]
    categorical = [k for k, n in enumerate(names) if not rows.is_numeric(n)]
    matrix = np.column_stack(
        [
            rows.codes(n, sorted(c for c, _ in rows.counts(n))) if k in categorical else rows.numbers(n)
            for k, n in enumerate(names)
        ]
    ).astype(float)
    matrix[:, categorical] = np.where(matrix[:, categorical] < 0, np.nan, matrix[:, categorical])
    # both sides start from arrays in memory: numbers are numbers already
    typed = {n: rows.text(n) if k in categorical else matrix[:, k] for k, n in enumerate(names)}
    frame = pl.DataFrame({**typed, target: rows.numbers(target) if not goal.classes else rows.text(target)})
    inside = np.random.default_rng(split).random(rows.rows) < 0.8
    train, test = (Rows(frame.filter(pl.Series(part)), name) for part in (inside, ~inside))
    y = goal.values
    return Problem(
        name,
        target,
        task,
        train,
        test,
        matrix[inside],
        y[inside],
        matrix[~inside],
        y[~inside],
        categorical,
        goal.classes,
    )


def timed(fit: Callable[[], Any], times: int) -> tuple[float, Any]:
    """Return the median CPU time of a call, and its last result."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        made = fit()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), made


def quality(problem: Problem, predictions: Any) -> dict[str, Any]:
    from mlkit.tables.metrics import evaluate

    if problem.task == "binary" and predictions.ndim == 1:
        predictions = np.stack([1 - predictions, predictions], axis=1)
    return evaluate(predictions, problem.truth, problem.classes)


def run() -> Iterator[Table]:
    """Yield the tables; ``--gradient``, ``--forest``, ``--threads`` choose among them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before scikit-learn loads its OpenMP
    from threadpoolctl import threadpool_limits

    parts = ("gradient", "forest", "threads")
    chosen = [part for part in parts if f"--{part}" in sys.argv] or parts
    warnings.simplefilter("ignore")
    sizes: list[list[str]] = []
    with threadpool_limits(1):
        if "gradient" in chosen:
            yield gradient(sizes)
        if "forest" in chosen:
            yield forests(sizes)
    if sizes:
        yield Table(
            "Model files",
            ["table", "model", "mlkit MB", "scikit-learn's pickle MB", "ratio", "target", "reached"], sizes,
            "Of the last model of each kind above, 100 trees or rounds.",
        )  # fmt: skip
    if "threads" in chosen:
        yield threads_and_memory()


def size_row(name: str, kind: str, model: Any, peer: Any) -> list[str]:
    """Compare a model file with scikit-learn's pickle."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m")
        ours = (Path(folder) / "m").stat().st_size / 1e6
    theirs = len(pickle.dumps(peer)) / 1e6
    return [
        name,
        kind,
        f"{ours:.2f}",
        f"{theirs:.2f}",
        f"1/{theirs / ours:.1f}",
        "<= 1/6",
        verdict(6 * ours <= theirs),
    ]


def spread(differences: list[float], unit: str) -> tuple[float, str]:
    """Return the mean of some differences, and it as text with its standard error."""
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
    return mean, f"{mean:+.2f} {unit}" + (f" \u00b1 {error:.2f}" if len(differences) > 1 else "")


def gradient(sizes: list[list[str]]) -> Table:
    """100 rounds, 31 leaves, 255 bins, one thread."""
    import lightgbm as lgb
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from mlkit.tables.columns import Columns
    from mlkit.trees import GradientSettings, train_gradient

    rows = []
    for name, (_, target, task) in SETS.items():
        large = name.startswith("flights")
        columns = Columns(target, task="regression" if task == "regression" else "classification")
        sklearn = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        metric = "rmse" if task == "regression" else "log_loss"
        train_gradient(load(name).train, columns, GradientSettings(rounds=1))
        times: dict[str, list[float]] = {"mlkit": [], "lightgbm": [], "sklearn": []}
        losses: dict[str, list[float]] = {"mlkit": [], "lightgbm": []}
        for split in range(2 if large else 5):
            problem = load(name, split)
            params = {"objective": task, "num_threads": 1, "verbose": -1}
            params["num_class"] = len(problem.classes) if task == "multiclass" else 1
            hist = sklearn(early_stopping=False, categorical_features=problem.categorical or None)
            jobs: dict[str, Callable[[], Any]] = {
                "mlkit": lambda p=problem, c=columns: train_gradient(p.train, c, GradientSettings()),
                "lightgbm": lambda p=problem, q=params: lgb.train(
                    q, lgb.Dataset(p.x, p.y, categorical_feature=p.categorical), 100
                ),
                "sklearn": lambda p=problem, h=hist: h.fit(p.x, p.y),
            }
            if split > 1 or (split and name == "letter"):
                jobs.pop("sklearn")  # two are enough, and it is slow
            made = {}
            for tool, job in jobs.items():
                seconds, made[tool] = timed(job, 1)
                times[tool].append(seconds)
            losses["mlkit"].append(quality(problem, made["mlkit"].predict(problem.test))[metric])
            losses["lightgbm"].append(
                quality(problem, made["lightgbm"].predict(problem.v, num_threads=1))[metric]
            )
            if split == 0 and name in ("adult", "letter", "flights_reg"):
                sizes.append(size_row(name, "gradient boosting", made["mlkit"], made["sklearn"]))
        ours, theirs, third = (statistics.median(times[tool]) for tool in ("mlkit", "lightgbm", "sklearn"))
        mean, shown = spread(
            [100 * (a / b - 1) for a, b in zip(losses["mlkit"], losses["lightgbm"], strict=True)], "%"
        )
        bound, second = (1.0, 0.9) if large else (1.0, 0.55) if name == "letter" else (0.75, 0.55)
        rows.append([
            name, f"{ours:.2f}", f"{theirs:.2f}", f"{third:.2f}", ratio(ours, theirs), f"<= {bound}x",
            verdict(ours <= bound * theirs), ratio(ours, third), f"<= {second}x", verdict(ours <= second * third),
            f"{statistics.mean(losses['mlkit']):.5g}", f"{statistics.mean(losses['lightgbm']):.5g}", shown,
            verdict(mean <= 0.5),
        ])  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "Gradient boosting, fit CPU s (100 rounds, 31 leaves, 255 bins, one thread, binning included)",
        ["table", "mlkit", "LightGBM", "HistGB", "/ LightGBM", "target", "reached", "/ HistGB", "target", "reached",
         "loss mlkit", "LightGBM", "to LightGBM", "within 0.5 %"], rows,
        "Medians over 5 random splits (flights 2; HistGB 2, on letter 1). Loss: mean log loss or RMSE on the fifth "
        "of the rows that was held out; its difference is the mean over the splits with its standard error.",
    )  # fmt: skip


def forests(sizes: list[list[str]]) -> Table:
    """Bagging, random forests and AdaBoost, 100 rounds."""
    from sklearn import ensemble

    from mlkit.tables.columns import Columns
    from mlkit.trees import AdaBoostSettings, ForestSettings, train_adaboost, train_bag

    forest, ada = ForestSettings(features="sqrt"), AdaBoostSettings(rounds=100)
    kinds: dict[str, tuple[float, int, Any, Any]] = {
        "bagging": (
            0.25, 1, lambda p, c: train_bag(p.train, c, ForestSettings()),
            lambda p: (ensemble.BaggingClassifier if p.classes else ensemble.BaggingRegressor)(
                n_estimators=100, random_state=1
            ),
        ),
        "random forest": (
            0.3, 3, lambda p, c: train_bag(p.train, c, forest),
            lambda p: ensemble.RandomForestClassifier(100, random_state=1),
        ),
        "AdaBoost stumps": (
            0.1, 3, lambda p, c: train_adaboost(p.train, c, ada),
            lambda p: ensemble.AdaBoostClassifier(n_estimators=100, random_state=1),
        ),
    }  # fmt: skip
    rows = []
    for name in ("adult", "california_housing", "letter"):
        columns = Columns(SETS[name][1])
        train_bag(load(name).train, columns, ForestSettings(rounds=1))
        for kind, (bound, splits, fit, make) in kinds.items():
            if kind != "bagging" and SETS[name][2] == "regression":
                continue
            fit(load(name), columns) if kind == "AdaBoost stumps" else None  # its kernels are compiled
            times: tuple[list[float], list[float]] = ([], [])
            found: list[tuple[float, float]] = []
            for split in range(splits):
                problem = load(name, split)
                metric = "accuracy" if problem.classes else "rmse"
                x, v = (np.nan_to_num(part, nan=-1) for part in (problem.x, problem.v))
                seconds, model = timed(lambda p=problem, f=fit, c=columns: f(p, c), 3 // splits)
                times[0].append(seconds)
                seconds, peer = timed(lambda p=problem, x=x, m=make: m(p).fit(x, p.y), 1)
                times[1].append(seconds)
                predicted = peer.predict_proba(v) if problem.classes else peer.predict(v)
                found.append(
                    (
                        quality(problem, model.predict(problem.test))[metric],
                        quality(problem, predicted)[metric],
                    )
                )
            if kind == "random forest" or (kind == "bagging" and not problem.classes):
                sizes.append(size_row(name, kind, model, peer))
            mine, other = (statistics.median(part) for part in times)
            means = [statistics.mean(part) for part in zip(*found, strict=True)]
            if metric == "accuracy":
                mean, shown = spread([100 * (a - b) for a, b in found], "points")
                close = mean >= -0.3
            else:
                mean, shown = spread([100 * (a / b - 1) for a, b in found], "%")
                close = mean <= 0.5
            rows.append([
                name, kind, f"{mine:.2f}", f"{other:.2f}", ratio(mine, other), f"<= {bound}x",
                verdict(mine <= bound * other), f"{means[0]:.5g}", f"{means[1]:.5g}", shown, verdict(close),
            ])  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "Bagging, forests and AdaBoost against scikit-learn, fit CPU s (100 rounds, one thread)",
        ["table", "method", "mlkit", "scikit-learn", "ratio", "target", "reached", "accuracy / RMSE", "scikit-learn",
         "difference", "as good"], rows,
        "As good: accuracy within 0.3 points, RMSE within 0.5 %; forests and AdaBoost over 3 random splits.",
    )  # fmt: skip


def processes() -> Table:
    """Whole processes, warm cache: from CSV to a model, and from CSV and model to predictions."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, (file, target, task) in SETS.items():
            path = data(file)
            made: dict[tuple[str, str], float] = {}
            start = ["boost", "train", path, "--target", target, "-o", folder / "m", "-q", "-t", 1]
            proba = [] if task == "regression" else ["--proba"]
            use = ["boost", "predict", folder / "m", path, "-o", folder / "p.csv", "-t", 1, *proba]
            measure(
                mlkit_command(
                    "boost",
                    "train",
                    data(SETS["adult"][0]),
                    "--target",
                    "income",
                    "-o",
                    folder / "w",
                    "-n",
                    1,
                )
            )
            made["mlkit", "train"] = measure(mlkit_command(*start)).cpu
            made["mlkit", "predict"] = measure(mlkit_command(*use)).cpu
            for tool in ("lightgbm", "sklearn"):
                for what in ("train", "predict"):
                    command = python_command(SCRIPT, tool, what, path, target, task, folder / tool)
                    made[tool, what] = measure(
                        command, env={"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
                    ).cpu
            for what in ("train", "predict"):
                ours, other, third = (made[tool, what] for tool in ("mlkit", "lightgbm", "sklearn"))
                rows.append([
                    title, what, f"{ours:.2f}", f"{other:.2f}", f"{third:.2f}", ratio(ours, min(other, third)),
                    verdict(ours < min(other, third)),
                ])  # fmt: skip
                print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "Whole process from CSV, CPU s (warm cache, one thread)",
        ["table", "step", "mlkit", "python + LightGBM", "python + HistGB", "to the faster", "faster than both"], rows,
        "The scripts read with polars, the fastest reader; predictions of all rows are written as text by all three.",
    )  # fmt: skip


def threads_and_memory() -> Table:
    """Two threads, and memory, on the largest tables."""
    from mlkit.tables.columns import Columns
    from mlkit.trees import GradientSettings, train_gradient

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("flights_reg", "flights_cls"):
            file, target, _ = SETS[name]
            problem, columns = load(name), Columns(target)
            fits: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(3):
                for threads, walls in fits.items():
                    start = time.perf_counter()
                    train_gradient(problem.train, columns, GradientSettings(), threads=threads)
                    walls.append(time.perf_counter() - start)
            one, two = (min(walls) for walls in fits.values())
            rows.append([
                name, "fit, wall s: 1 and 2 threads", f"{one:.2f} {two:.2f}", f"{one / two:.2f}x", ">= 1.6x",
                verdict(one >= 1.6 * two),
            ])  # fmt: skip
            command = ["boost", "train", data(file), "--target", target, "-o", Path(folder) / "m", "-q", "-t"]
            runs = {
                threads: min(
                    (measure(mlkit_command(*command, threads)) for _ in range(2)), key=lambda u: u.wall
                )
                for threads in (1, 2)
            }
            rows.append([
                name, "whole process from CSV, wall s: 1 and 2 threads",
                " ".join(f"{use.wall:.2f}" for use in runs.values()), f"{runs[1].wall / runs[2].wall:.2f}x", "", "",
            ])  # fmt: skip
            binned = 327_346 * BYTES[name] / 1e6
            rows.append([
                name, "peak memory, MB", f"{runs[1].rss_mb:.0f}", "", f"<= {binned + 200:.0f}",
                verdict(runs[1].rss_mb <= binned + 200),
            ])  # fmt: skip
            print(rows[-3:], file=sys.stderr, flush=True)
    return Table(
        "flights (327,346 rows): threads and memory", ["table", "what", "found", "speed", "target", "reached"], rows,
        "The least of 3 fits, of 2 processes. Memory: bins of the columns, once as read and once packed, and 200 MB.",
    )  # fmt: skip
