"""Rows made by Lacuna, TVAE (ctgan) and a Gaussian copula (copulas), measured alike.

    python generate.py tvae TRAIN.csv SCHEMA.json OUT.csv      fits a peer and writes as many rows of it
    python generate.py copula TRAIN.csv SCHEMA.json OUT.csv
    python generate.py score TRAIN.csv HELD_OUT.csv SCHEMA.json NAME=ROWS.csv ...

All measures compare made rows with HELD_OUT, real rows that no fit saw; `real` is as many rows of TRAIN in the place of made ones.
The schema file says which columns are numbers. Packages: ctgan copulas scikit-learn pandas.
"""
import json
import resource
import sys
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
NUMBERS = {"continuous", "positive", "count"}


def kinds(path):
    return {c["name"]: c["kind"] for c in json.load(open(path))["columns"]}


def read(path, kind):
    df = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={c: str for c, k in kind.items() if k not in NUMBERS})
    return df[list(kind)]


def cpu():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime


def whole(made, train, numbers):
    """Numbers inside the range of the table, whole where its are."""
    for c in numbers:
        made[c] = made[c].clip(train[c].min(), train[c].max())
        if (train[c] % 1 == 0).all():
            made[c] = made[c].round().astype(int)
    return made


def copula(train, kind):
    from copulas.multivariate import GaussianMultivariate
    from copulas.univariate import GaussianKDE, UniformUnivariate

    # As SDV's synthesizer does it, each level is a number drawn from its own part of [0, 1]; kernel densities for the numbers.
    rng = np.random.default_rng(0)
    np.random.seed(0)
    numbers, parts = train.copy(), {}
    levels = [c for c, k in kind.items() if k not in NUMBERS]
    for c in levels:
        share = train[c].value_counts(normalize=True)
        ends = share.cumsum()
        parts[c] = (list(share.index), ends.to_numpy())
        numbers[c] = rng.uniform(train[c].map(ends - share).to_numpy(float), train[c].map(ends).to_numpy(float))
    model = GaussianMultivariate(distribution={c: UniformUnivariate if c in levels else GaussianKDE for c in kind})
    model.fit(numbers)
    made = model.sample(len(train))
    for c in levels:
        names, ends = parts[c]
        made[c] = [names[i] for i in np.searchsorted(ends[:-1], made[c].to_numpy())]
    return made


def tvae(train, kind):
    import torch
    from ctgan import TVAE

    torch.manual_seed(0)
    np.random.seed(0)
    torch.set_num_threads(2)
    model = TVAE(enable_gpu=False)
    model.fit(train, [c for c, k in kind.items() if k not in NUMBERS])
    return model.sample(len(train))


def encode(frames, kind, reference):
    """Numbers as ranks-free standard scores, levels one-hot: for distances. One array a frame."""
    out = [[] for _ in frames]
    for c, k in kind.items():
        if k in NUMBERS:
            mean, sd = reference[c].mean(), reference[c].std() or 1.0
            for o, f in zip(out, frames):
                o.append(((f[c].to_numpy(float) - mean) / sd)[:, None])
        else:
            names = pd.unique(pd.concat([f[c] for f in frames]))
            for o, f in zip(out, frames):
                o.append((f[c].to_numpy()[:, None] == names[None, :]) / np.sqrt(2))
    return [np.hstack(o).astype(np.float32) for o in out]


def association(df, kind):
    """Correlation of every two columns: numbers as they are, levels as indicators of their ten most frequent."""
    parts = []
    for c, k in kind.items():
        if k in NUMBERS:
            parts.append(df[c].to_numpy(float)[:, None])
        else:
            parts.append((df[c].to_numpy()[:, None] == np.array(association.levels[c])[None, :]).astype(float))
    x = np.hstack(parts)
    owner = np.repeat(np.arange(len(parts)), [p.shape[1] for p in parts])
    sd = x.std(0)
    x = (x - x.mean(0)) / np.where(sd > 0, sd, 1)
    return x.T @ x / len(x), owner


def auc(real, made, kind, seed):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    both = pd.concat([real, made], ignore_index=True)
    x = np.empty((len(both), len(kind)))
    is_level = []
    for j, (c, k) in enumerate(kind.items()):
        is_level.append(k not in NUMBERS)
        x[:, j] = both[c].to_numpy(float) if k in NUMBERS else pd.factorize(both[c])[0]
    y = np.r_[np.zeros(len(real)), np.ones(len(made))]
    p = np.zeros(len(y))
    for fit, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(x, y):
        model = HistGradientBoostingClassifier(categorical_features=is_level, random_state=seed)
        p[test] = model.fit(x[fit], y[fit]).predict_proba(x[test])[:, 1]
    return roc_auc_score(y, p)


def score(train, held, kind, made):
    from scipy.stats import wasserstein_distance
    from sklearn.neighbors import NearestNeighbors

    association.levels = {c: list(train[c].value_counts().index[:10]) for c, k in kind.items() if k not in NUMBERS}
    held = held.sample(min(len(held), len(train)), random_state=0).reset_index(drop=True)
    rows = {"real": train} | made
    keys = set(map(tuple, train.astype(str).to_numpy()))
    truth, owner = association(held, kind)
    between = owner[:, None] != owner[None, :]
    print(f"{'':10} {'Wasserstein':>11} {'total var.':>10} {'corr. diff.':>11} {'AUC':>6} {'distance':>8} {'equal':>7}")
    encoded = encode([train, held] + list(made.values()), kind, train)
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(encoded[0])
    distance = lambda x: np.median(nearest.kneighbors(x[:3000])[0])
    equal = lambda f: np.mean([tuple(r) in keys for r in f.astype(str).to_numpy()])
    for name, f in rows.items():
        w = np.mean([wasserstein_distance(f[c].astype(float), held[c]) / train[c].std() for c, k in kind.items() if k in NUMBERS])
        share = lambda g, c: g[c].value_counts(normalize=True)
        v = np.mean([share(f, c).sub(share(held, c), fill_value=0).abs().sum() / 2 for c, k in kind.items() if k not in NUMBERS])
        difference = np.abs(association(f, kind)[0] - truth)[between].mean()
        a = auc(held, f, kind, 0)
        near = distance(encoded[2 + list(made).index(name)]) if name in made else float("nan")
        same = equal(f) if name in made else float("nan")
        print(f"{name:10} {w:11.4f} {v:10.4f} {difference:11.4f} {a:6.3f} {near:8.3f} {same:7.4f}", flush=True)
    print(f"{'held out':10} {'':11} {'':10} {'':11} {'':6} {distance(encoded[1]):8.3f} {equal(held):7.4f}")


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command in ("tvae", "copula"):
        kind = kinds(arguments[1])
        train, start = read(arguments[0], kind), cpu()
        made = whole({"tvae": tvae, "copula": copula}[command](train, kind), train, [c for c, k in kind.items() if k in NUMBERS])
        made[list(kind)].to_csv(arguments[2], index=False)
        print(f"{command}: {cpu() - start:.0f} CPU s")
    elif command == "score":
        kind = kinds(arguments[2])
        made = {a.split("=", 1)[0]: read(a.split("=", 1)[1], kind) for a in arguments[3:]}
        score(read(arguments[0], kind), read(arguments[1], kind), kind, made)
    else:
        sys.exit(__doc__)
