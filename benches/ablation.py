"""What each part of the recipe is worth: one thing taken away at a time, on tables whose truth is known.

    cargo build --release
    python3 benches/ablation.py DATA_DIR [--lacuna target/release/lacuna] [--tables a,b,…] [--mask mcar30] [--effort fast]

DATA_DIR holds a folder a table, with truth.csv, MASK.csv and schema.json (columns with name and kind). Errors are those of the cells
that are empty in MASK.csv: of numbers the root of the mean square, in standard deviations of the column's truth; of levels the share
that is wrong. The table that is printed has, beside the errors of the fit as it is, by how many per cent each change makes them larger.
Needs nothing but Python; all runs have seed 0.
"""

import argparse
import csv
import json
import math
import os
import resource
import subprocess
import tempfile

NUMBERS = {"continuous", "positive", "count"}
TABLES = ["california", "concrete", "wine_white", "credit10k", "adult10k", "mushroom"]
NORMAL = "all numbers normal"
CHANGES = {
    "as it is": [],
    "one network": ["--members", "1"],
    "no rows alike": ["--without-neighbours"],
    NORMAL: [],
    "one latent unit": ["--latent-dim", "1"],
    "32 hidden units": ["--hidden", "32"],
    "plain autoencoder": ["--plain-autoencoder"],
    "one epoch": ["--epochs", "1"],
}


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def errors(folder, mask, filled):
    """The error of numbers and the share of wrong levels; None where there are none."""
    truth, masked, filled = read(f"{folder}/truth.csv"), read(f"{folder}/{mask}.csv"), read(filled)
    kinds = {c["name"]: c["kind"] for c in json.load(open(f"{folder}/schema.json"))["columns"]}
    squares, wrong = [], []
    for j, name in enumerate(truth[0]):
        gaps = [i for i in range(1, len(truth)) if masked[i][j] == ""]
        if kinds[name] not in NUMBERS:
            wrong += [truth[i][j] != filled[i][j] for i in gaps]
            continue
        x = [float(row[j]) for row in truth[1:]]
        mean = sum(x) / len(x)
        variance = sum((v - mean) ** 2 for v in x) / len(x)
        squares += [(float(truth[i][j]) - float(filled[i][j])) ** 2 / variance for i in gaps]
    return math.sqrt(sum(squares) / len(squares)) if squares else None, sum(wrong) / len(wrong) if wrong else None


def with_normal(schema, path):
    stated = json.load(open(schema))
    for column in stated["columns"]:
        if column["kind"] in NUMBERS:
            column.update(kind="continuous", family="gaussian")
    json.dump(stated, open(path, "w"))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--lacuna", default="target/release/lacuna")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--mask", default="mcar30")
    parser.add_argument("--effort", default="fast")
    args = parser.parse_args()
    tables = args.tables.split(",")
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        for table in tables:
            folder = f"{args.data}/{table}"
            for change, flags in CHANGES.items():
                schema = f"{folder}/schema.json"
                if change == NORMAL:
                    schema = with_normal(schema, f"{scratch}/schema.json")
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                command = [args.lacuna, "impute", f"{folder}/{args.mask}.csv", "-o", f"{scratch}/out.csv", "--schema", schema]
                subprocess.run(command + ["--effort", args.effort, "--no-round", "--quiet"] + flags, check=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                rows[change, table] = (*errors(folder, args.mask, f"{scratch}/out.csv"), cpu)
                print(f"{table}, {change}: {rows[change, table]}", flush=True)
    print(f"\n| | {' | '.join(tables)} | CPU seconds |\n|---|{'---|' * (len(tables) + 1)}")
    for change in CHANGES:
        cells = []
        for table in tables:
            whole, now = rows["as it is", table], rows[change, table]
            pairs = [(a, b) for a, b in zip(whole[:2], now[:2]) if a is not None]
            cells.append(" / ".join(f"{b:.3f}" if change == "as it is" else f"{100 * (b / a - 1):+.1f} %" for a, b in pairs))
        cpu = sum(rows[change, table][2] for table in tables)
        print(f"| {change} | {' | '.join(cells)} | {cpu:.0f} |")


if __name__ == "__main__":
    main()
