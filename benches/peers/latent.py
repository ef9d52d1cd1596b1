"""What is left of a class in the latent space: a linear probe and nearest neighbours on lacuna embed's points, and on raw columns.

    python latent.py LACUNA FIXTURES OUT_DIR

Wines (the cultivar) and penguins (the species, which the model does not see, nor the island). Both tables have gaps; the raw columns have
theirs filled by means, and levels as indicators. Ten-fold cross-validated accuracy, standardised inputs. Packages: scikit-learn pandas.
"""
import os
import subprocess
import sys

import pandas as pd
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(lacuna, fixtures, out):
    penguins = pd.read_csv(f"{fixtures}/penguins.csv")
    tables = {
        "wine": (pd.read_csv(f"{fixtures}/wine.csv"), load_wine().target, []),
        "penguins": (penguins.drop(columns=["species", "island"]), penguins["species"], ["--exclude", "species", "--exclude", "island"]),
    }
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    for name, (raw, label, flags) in tables.items():
        data, model, points = f"{fixtures}/{name}.csv", f"{out}/{name}.probe.safetensors", f"{out}/{name}.latent.csv"
        if not os.path.exists(model):
            subprocess.run([lacuna, "fit", data, "-o", model, "--quiet"] + flags, check=True)
        subprocess.run([lacuna, "embed", model, data, "-o", points], check=True)
        z = pd.read_csv(points).drop(columns=".id")
        raw = pd.get_dummies(raw).astype(float)
        raw = raw.fillna(raw.mean())
        for what, x in [("latent", z), ("raw", raw)]:
            probe = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), x, label, cv=folds).mean()
            knn = cross_val_score(make_pipeline(StandardScaler(), KNeighborsClassifier(5)), x, label, cv=folds).mean()
            print(f"{name:10} {what:7} {x.shape[1]:3} numbers   linear probe {probe:.3f}   5 nearest neighbours {knn:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
