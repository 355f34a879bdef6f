"""Distances between the engine and the independent implementations on any checkpoint folder, such as models/nano.

  python3 tests/golden/compare.py PROGRAM FOLDER TOKENS.json

PROGRAM is a built deepread. Prints, for every pair, the largest absolute difference, the median and worst relative distance of a
position, and how often both think the same token likeliest. transformers is left out where it is not installed.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from noise import distances

HERE = pathlib.Path(__file__).parent


def run(*words):
    return subprocess.run([*map(str, words)], cwd=HERE.parent.parent, stderr=subprocess.DEVNULL,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode == 0


def main():
    program, folder, tokens = (pathlib.Path(p).resolve() for p in sys.argv[1:])
    with tempfile.TemporaryDirectory() as made:
        made, python = pathlib.Path(made), sys.executable
        logits = [program, "model", "logits", folder, "--tokens", tokens, "--mtp", "--out"]
        ways = {
            "engine": [*logits, made / "engine.npy"],
            "engine, wide": [*logits, made / "engine, wide.npy", "--wide"],
            "reference": [python, HERE / "reference.py", folder, tokens, made / "reference.npy"],
            "reference, MTP": [python, HERE / "reference.py", folder, tokens, made / "reference, MTP.npy", "--mtp"],
            "reference, wide": [python, HERE / "reference.py", folder, tokens, made / "reference, wide.npy", "--wide"],
            "reference, wide, MTP": [python, HERE / "reference.py", folder, tokens, made / "reference, wide, MTP.npy", "--wide",
                                     "--mtp"],
            "transformers": [python, HERE / "oracle.py", folder, tokens, made / "transformers.npy"],
            "training": [python, "-m", "training", "logits", folder, tokens, made / "training.npy", "--mtp"],
        }
        for name, words in ways.items():
            if not run(*words):
                print(f"{name}: did not run")
        for ours, theirs in (("engine", "engine, MTP"), ("engine, wide", "engine, wide, MTP"), ("training", "training, MTP")):
            if (made / f"{ours}.mtp.npy").exists():
                (made / f"{ours}.mtp.npy").rename(made / f"{theirs}.npy")
        for a, b in (("transformers", "engine, wide"), ("reference, wide", "engine, wide"),
                     ("reference, wide, MTP", "engine, wide, MTP"), ("reference", "engine"), ("training", "engine"),
                     ("reference", "training"), ("reference, MTP", "engine, MTP"), ("training, MTP", "engine, MTP"),
                     ("engine, wide", "engine")):
            if (made / f"{a}.npy").exists() and (made / f"{b}.npy").exists():
                x, y = (np.load(made / f"{n}.npy").astype(np.float64) for n in (a, b))
                n = min(len(x), len(y)) - ("MTP" in a)  # the last row of an MTP block has no next token
                x, y = x[:n], y[:n]
                d = distances(x, y)
                print(f"{a:22} {b:18} largest {abs(x - y).max():.1e}  median {np.median(d):.1e}  worst {d.max():.1e}"
                      f"  same token {(x.argmax(1) == y.argmax(1)).mean():.1%}", flush=True)


if __name__ == "__main__":
    main()
