"""Tree ensembles: mlkit against LightGBM and scikit-learn, in one process and as whole processes."""

from __future__ import annotations

import os
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


def load(name: str) -> Problem:
    import polars as pl

    from mlkit.formats.tables import Table as Rows
    from mlkit.formats.tables import read_table
    from mlkit.trees.target import read_target

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
    inside = np.random.default_rng(0).random(rows.rows) < 0.8
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
    from mlkit.trees import evaluate

    if problem.task == "binary" and predictions.ndim == 1:
        predictions = np.stack([1 - predictions, predictions], axis=1)
    return evaluate(predictions, problem.truth, problem.classes)


def run() -> Iterator[Table]:
    """Yield the tables; ``--gradient``, ``--forest``, ``--process`` choose among them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before scikit-learn loads its OpenMP
    from threadpoolctl import threadpool_limits

    chosen = [part for part in ("gradient", "forest", "process") if f"--{part}" in sys.argv] or [
        "gradient", "forest", "process",
    ]  # fmt: skip
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        if "gradient" in chosen:
            yield gradient()
        if "forest" in chosen:
            yield forests()
    if "process" in chosen:
        yield processes()
        yield threads_and_memory()


def gradient() -> Table:
    """100 rounds, 31 leaves, 255 bins, one thread."""
    import lightgbm as lgb
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from mlkit.trees import Columns, GradientSettings, train_gradient

    rows = []
    for name in SETS:
        problem = load(name)
        times = 3
        columns = Columns(
            problem.target, task="regression" if problem.task == "regression" else "classification"
        )
        train_gradient(problem.train, columns, GradientSettings(rounds=1))

        def peer(problem: Problem = problem) -> Any:
            params = {"objective": problem.task, "num_threads": 1, "verbose": -1}
            params["num_class"] = len(problem.classes) if problem.task == "multiclass" else 1
            return lgb.train(
                params, lgb.Dataset(problem.x, problem.y, categorical_feature=problem.categorical), 100
            )

        sklearn = (
            HistGradientBoostingRegressor if problem.task == "regression" else HistGradientBoostingClassifier
        )
        hist = sklearn(early_stopping=False, categorical_features=problem.categorical or None)
        ours, model = timed(
            lambda p=problem, c=columns: train_gradient(p.train, c, GradientSettings()), times
        )
        theirs, booster = timed(peer, times)
        third, _ = timed(lambda p=problem, h=hist: h.fit(p.x, p.y), 1 if name == "letter" else times)
        metric = "log_loss" if problem.classes else "rmse"
        mine = quality(problem, model.predict(problem.test))[metric]
        other = quality(problem, booster.predict(problem.v, num_threads=1))[metric]
        scikit = quality(
            problem, hist.predict(problem.v) if not problem.classes else hist.predict_proba(problem.v)
        )[metric]
        large = name.startswith("flights")
        bound, second = (1.0, 0.9) if large else (1.0, 0.55) if name == "letter" else (0.75, 0.55)
        rows.append([
            name, f"{ours:.2f}", f"{theirs:.2f}", f"{third:.2f}", ratio(ours, theirs), f"<= {bound}x",
            verdict(ours <= bound * theirs), ratio(ours, third), f"<= {second}x", verdict(ours <= second * third),
            f"{mine:.5g}", f"{other:.5g}", f"{scikit:.5g}", f"{100 * (mine / other - 1):+.2f} %",
            verdict(mine <= 1.005 * other),
        ])  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "Gradient boosting, fit CPU s (100 rounds, 31 leaves, 255 bins, one thread, binning included)",
        ["table", "mlkit", "LightGBM", "HistGB", "/ LightGBM", "target", "reached", "/ HistGB", "target", "reached",
         "loss mlkit", "LightGBM", "HistGB", "to LightGBM", "within 0.5 %"], rows,
        "Loss: log loss or RMSE on the fifth of the rows that was held out. Median of 3 runs (HistGB on letter: 1).",
    )  # fmt: skip


def forests() -> Table:
    """Bagging, random forests and AdaBoost, 100 rounds."""
    from sklearn import ensemble

    from mlkit.trees import AdaBoostSettings, Columns, ForestSettings, train_adaboost, train_bag

    rows = []
    for name in ("adult", "california_housing", "letter"):
        problem = load(name)
        classes = bool(problem.classes)
        columns = Columns(problem.target)
        x, v = (np.nan_to_num(part, nan=-1) for part in (problem.x, problem.v))
        train_bag(problem.train, columns, ForestSettings(rounds=1))
        jobs: list[tuple[str, float, Callable[[], Any], Any]] = [
            ("bagging", 0.25, lambda p=problem, c=columns: train_bag(p.train, c, ForestSettings()),
             (ensemble.BaggingClassifier if classes else ensemble.BaggingRegressor)(n_estimators=100, random_state=1)),
        ]  # fmt: skip
        if classes:
            settings = ForestSettings(features="sqrt")
            jobs.append((
                "random forest", 0.3, lambda p=problem, c=columns, s=settings: train_bag(p.train, c, s),
                ensemble.RandomForestClassifier(100, random_state=1),
            ))  # fmt: skip
            ada = AdaBoostSettings(rounds=100)
            jobs.append((
                "AdaBoost stumps", 0.1, lambda p=problem, c=columns, s=ada: train_adaboost(p.train, c, s),
                ensemble.AdaBoostClassifier(n_estimators=100, random_state=1),
            ))  # fmt: skip
            train_adaboost(problem.train, columns, AdaBoostSettings(rounds=1))
        for kind, bound, ours, theirs in jobs:
            mine, model = timed(ours, 3)
            other, _ = timed(lambda t=theirs, p=problem, x=x: t.fit(x, p.y), 1)
            metric = "accuracy" if classes else "rmse"
            found = quality(problem, model.predict(problem.test))[metric]
            peer = quality(problem, theirs.predict_proba(v) if classes else theirs.predict(v))[metric]
            close = found >= peer - 0.003 if classes else found <= 1.005 * peer
            rows.append([
                name, kind, f"{mine:.2f}", f"{other:.2f}", ratio(mine, other), f"<= {bound}x",
                verdict(mine <= bound * other),
                f"{found:.5g}", f"{peer:.5g}", verdict(close),
            ])  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "Bagging, forests and AdaBoost against scikit-learn, fit CPU s (100 rounds, one thread)",
        ["table", "method", "mlkit", "scikit-learn", "ratio", "target", "reached", "accuracy / RMSE", "scikit-learn",
         "as good"], rows, "As good: accuracy within 0.3 points, RMSE within 0.5 %.",
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
    """Two threads, and memory, on the largest table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = data(SETS["flights_cls"][0])
        command = ["boost", "train", path, "--target", "late", "-o", Path(folder) / "m", "-q", "-n", 300]
        short = [*command[:-1], 1]
        walls = {}
        for threads in (1, 2):
            whole, little = (
                min((measure(mlkit_command(*c, "-t", threads)) for _ in range(2)), key=lambda u: u.wall)
                for c in (command, short)
            )
            walls[threads] = whole.wall - little.wall
            if threads == 1:
                rss = whole.rss_mb
        speed = walls[1] / walls[2]
        rows.append(["2 threads, wall time of 299 rounds", f"{speed:.2f}x", ">= 1.6x", verdict(speed >= 1.6)])
        binned = 327_346 * (22 + 18) / 1e6
        rows.append(["memory, MB", f"{rss:.0f}", f"<= {binned + 200:.0f}", verdict(rss <= binned + 200)])
    return Table("flights_cls (327,346 rows)", ["what", "found", "target", "reached"], rows)
