"""Small molecules as a table, and what rows that a model made of it are as molecules.

    python molecules.py make MOLECULES.csv                           the table kept as fixtures/molecules.csv.gz
    python molecules.py random MOLECULES.csv N OUT.csv               rows of tokens at random: each place's own frequencies
    python molecules.py measure MOLECULES.csv NAME=ROWS.csv ...      validity, uniqueness, novelty, properties

The molecules are the small ones of Data/NCI/first_5K.smi, which RDKit's wheel carries: one component, the elements C N O S F Cl Br I
P, at most 24 SELFIES tokens, each of which occurs twenty times. Columns t01 to t24 are the tokens, `[nop]` behind the last;
logP (Crippen), weight, tpsa and qed are computed by RDKit. `measure` decodes the tokens and computes the properties anew: what
a row says of its own properties is not believed. Packages: rdkit selfies pandas.
"""
import os
import sys
from collections import Counter

import numpy as np
import pandas as pd
import selfies
from rdkit import Chem, RDConfig, RDLogger
from rdkit.Chem import QED, Crippen, Descriptors

RDLogger.DisableLog("rdApp.*")
LENGTH = 24
TOKENS = [f"t{i:02}" for i in range(1, LENGTH + 1)]
ELEMENTS = {"C", "N", "O", "S", "F", "Cl", "Br", "I", "P"}
PAD = "[nop]"
MEASURES = {
    "logP": (Crippen.MolLogP, 2),
    "weight": (Descriptors.MolWt, 1),
    "tpsa": (Descriptors.TPSA, 1),
    "qed": (QED.qed, 3),
}


def make(path):
    molecules = {}
    for line in open(os.path.join(RDConfig.RDDataDir, "NCI", "first_5K.smi")):
        smiles = line.split()[0]
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None or "." in smiles or not {a.GetSymbol() for a in molecule.GetAtoms()} <= ELEMENTS:
            continue
        Chem.RemoveStereochemistry(molecule)
        smiles = Chem.MolToSmiles(molecule)
        try:
            tokens = list(selfies.split_selfies(selfies.encoder(smiles)))
        except selfies.EncoderError:
            continue
        if len(tokens) <= LENGTH:
            molecules[smiles] = tokens
    counts = Counter(t for tokens in molecules.values() for t in tokens)
    rows = []
    for smiles, tokens in sorted(molecules.items()):
        if all(counts[t] >= 20 for t in tokens):
            molecule = Chem.MolFromSmiles(selfies.decoder("".join(tokens)))
            properties = [f"{f(molecule):.{places}f}" for f, places in MEASURES.values()]
            rows.append(tokens + [PAD] * (LENGTH - len(tokens)) + properties)
    packed = {"method": "gzip", "mtime": 0} if path.endswith(".gz") else None
    pd.DataFrame(rows, columns=TOKENS + list(MEASURES)).to_csv(path, index=False, compression=packed)
    print(len(rows), "molecules", len(set(t for r in rows for t in r[:LENGTH])), "tokens")


def at_random(table, n, path):
    table, rng = pd.read_csv(table), np.random.default_rng(0)
    pd.DataFrame({c: rng.choice(table[c], int(n)) for c in TOKENS}).to_csv(path, index=False)


def decoded(rows):
    """The canonical SMILES of each row; None where it is no molecule."""
    out = []
    for tokens in rows[TOKENS].itertuples(index=False):
        smiles = selfies.decoder("".join(t for t in tokens if t != PAD))
        molecule = Chem.MolFromSmiles(smiles) if smiles else None
        out.append(Chem.MolToSmiles(molecule) if molecule else None)
    return out


def measure(table, *made):
    table = pd.read_csv(table)
    known = set(decoded(table))
    print(f"{'':12} {'rows':>5} {'valid':>6} {'unique':>6} {'novel':>6}   " + "   ".join(f"{m + ' 10/50/90 %':>22}" for m in MEASURES))
    for name, path in [("table", None)] + [m.split("=", 1) for m in made]:
        smiles = decoded(table if path is None else pd.read_csv(path))
        valid = [s for s in smiles if s]
        unique = set(valid)
        novel = len([s for s in unique if s not in known]) / len(unique)
        line = f"{name:12} {len(smiles):5} {len(valid) / len(smiles):6.3f} {len(unique) / len(valid):6.3f} {novel:6.3f}   "
        molecules = [Chem.MolFromSmiles(s) for s in valid]
        texts = []
        for f, places in MEASURES.values():
            p = np.percentile([f(m) for m in molecules], [10, 50, 90])
            texts.append(" / ".join(f"{x:.{min(places, 2)}f}" for x in p))
        print(line + "   ".join(f"{t:>22}" for t in texts))


if __name__ == "__main__":
    command, arguments = sys.argv[1] if len(sys.argv) > 2 else "", sys.argv[2:]
    commands = {"make": make, "random": at_random, "measure": measure}
    commands[command](*arguments) if command in commands else sys.exit(__doc__)
