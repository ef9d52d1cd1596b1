"""Odd rows found by lacuna score, by an isolation forest and by the local outlier factor (scikit-learn), on five tables with labels.

    python anomalies.py tables DATA_DIR OUT_DIR        writes OUT_DIR/NAME.csv and OUT_DIR/NAME.labels
    python anomalies.py score OUT_DIR LACUNA           fits and scores each table by the command LACUNA, and by the peers

Breast cancer, digits and wine are those that scikit-learn ships, with one class made rare as in the ODDS collection: twenty malignant
cases, a tenth of the zeros, ten wines of the first cultivar. DATA_DIR holds concrete and california (truth.csv), where one
cell in each of 3 rows in a hundred is wrong: taken from another row, or ten times too large, by turns. Every method fits and scores the
whole table and sees no label. Packages: scikit-learn pandas.
"""
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd


def rare(x, y, inlier, outlier, n, rng):
    keep = np.flatnonzero(inlier(y))
    out = rng.choice(np.flatnonzero(outlier(y)), n, replace=False)
    rows = np.sort(np.r_[keep, out])
    return x.iloc[rows].reset_index(drop=True), outlier(y[rows]).astype(int)


def planted(df, rng):
    df = df.copy()
    numbers = list(df.select_dtypes("number"))
    rows = rng.choice(len(df), len(df) * 3 // 100, replace=False)
    label = np.zeros(len(df), int)
    label[rows] = 1
    before = df.copy()
    df[numbers] = df[numbers].astype(float)
    for i, row in enumerate(rows):
        c = numbers[rng.integers(len(numbers))]
        if i % 2 and before.at[row, c] != 0:
            df.at[row, c] = 10 * before.at[row, c]
            continue
        other = before.loc[before[c] != before.at[row, c], c]
        df.at[row, c] = other.iloc[rng.integers(len(other))]
    for c in numbers:
        if (df[c] % 1 == 0).all():
            df[c] = df[c].astype(int)
    return df, label


def tables(data, out):
    from sklearn import datasets

    rng = np.random.default_rng(0)
    made = {}
    for name, load, inlier, outlier, n in [
        ("breast_cancer", datasets.load_breast_cancer, lambda y: y == 1, lambda y: y == 0, 20),
        ("digits", datasets.load_digits, lambda y: y != 0, lambda y: y == 0, 18),
        ("wine", datasets.load_wine, lambda y: y != 0, lambda y: y == 0, 10),
    ]:
        raw = load(as_frame=True)
        made[name] = rare(raw.data.rename(columns=lambda c: c.replace(" ", "_")), raw.target.to_numpy(), inlier, outlier, n, rng)
    for name, rows in [("concrete", None), ("california", 3000)]:
        df = pd.read_csv(f"{data}/{name}/truth.csv")
        df = df if rows is None else df.sample(rows, random_state=0).reset_index(drop=True)
        made[name] = planted(df, rng)
    for name, (x, label) in made.items():
        x.to_csv(f"{out}/{name}.csv", index=False)
        np.savetxt(f"{out}/{name}.labels", label, fmt="%d")
        print(name, x.shape, label.sum())


def measure(label, odd):
    from sklearn.metrics import average_precision_score, roc_auc_score

    return roc_auc_score(label, odd), average_precision_score(label, odd)


def score(folder, lacuna):
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor

    methods = {"lacuna": [], "isolation forest": [], "local outlier factor": []}
    print(f"{'table':14} {'rows × columns':>15} {'odd':>4}   " + "   ".join(f"{m:>20}" for m in methods))
    for name in ["breast_cancer", "digits", "wine", "concrete", "california"]:
        label = np.loadtxt(f"{folder}/{name}.labels", dtype=int)
        x = pd.read_csv(f"{folder}/{name}.csv")
        model, scores = f"{folder}/{name}.safetensors", f"{folder}/{name}.scores.csv"
        if not os.path.exists(model):
            subprocess.run([lacuna, "fit", f"{folder}/{name}.csv", "-o", model, "--quiet"], check=True)
        subprocess.run([lacuna, "score", model, f"{folder}/{name}.csv", "-o", scores, "--quiet"], check=True)
        codes = np.column_stack([x[c] if x[c].dtype.kind in "if" else pd.factorize(x[c])[0] for c in x])
        scaled = (codes - codes.mean(0)) / np.where(codes.std(0) > 0, codes.std(0), 1)
        # A forest depends on its seed: the mean of five.
        forests = [measure(label, -IsolationForest(random_state=s).fit(codes).score_samples(codes)) for s in range(5)]
        lof = LocalOutlierFactor().fit(scaled)
        figures = {
            "lacuna": measure(label, pd.read_csv(scores)["score"]),
            "isolation forest": tuple(np.mean(forests, 0)),
            "local outlier factor": measure(label, -lof.negative_outlier_factor_),
        }
        for m, f in figures.items():
            methods[m].append(f)
        print(f"{name:14} {f'{x.shape[0]} × {x.shape[1]}':>15} {label.sum():4}   " + "   ".join(f"{f'{a:.3f} / {p:.3f}':>20}" for a, p in figures.values()))
    print(f"{'mean':14} {'':15} {'':4}   " + "   ".join("{:>20}".format("{:.3f} / {:.3f}".format(*np.mean(v, 0))) for v in methods.values()))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in ("tables", "score"):
        {"tables": tables, "score": score}[sys.argv[1]](*sys.argv[2:])
    else:
        sys.exit(__doc__)
