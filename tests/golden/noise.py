"""How far noise of FP32 size moves the reference itself: the floor under every comparison in the real mode.

Before each BF16 rounding, values that FP32 cannot hold exactly are multiplied by 1 + 1e-7 * normal(0, 1), as another summation
order would. Prints, per checkpoint, over several draws: median and worst relative distance of a position, positions above 1e-3.

  python3 tests/golden/noise.py [NAME or FOLDER ...]

A folder holds any checkpoint and a tokens.json.
"""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch

import checkpoint
import reference

HERE = pathlib.Path(__file__).parent
DRAWS = 3


def distances(a, b):
    return np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)


def logits(folder, tokens):
    with torch.no_grad():
        return reference.Model(folder).logits(tokens).numpy()


def main():
    exact = reference.bf16

    def noisy(x):
        moved = x * (1 + 1e-7 * torch.randn(x.shape, dtype=torch.float64))
        return exact(torch.where(x.float().double() == x, x, moved))

    for name in sys.argv[1:] or checkpoint.CHECKPOINTS:
        with tempfile.TemporaryDirectory() as made:
            folder, text = pathlib.Path(name), pathlib.Path(name)
            if name in checkpoint.CHECKPOINTS:
                folder, text = pathlib.Path(made), HERE / "data" / name
                key, _, config = checkpoint.CHECKPOINTS[name]
                (folder / "config.json").write_text(checkpoint.dump_config(config))
                checkpoint.write(folder, key, config)
            tokens = json.loads((text / "tokens.json").read_text())
            reference.bf16 = exact
            calm = logits(folder, tokens)
            reference.bf16 = noisy
            found = []
            for draw in range(DRAWS):
                torch.manual_seed(draw)
                found.append(distances(calm, logits(folder, tokens)))
        d = np.stack(found)
        print(f"{pathlib.Path(name).name:6} median {np.median(d, 1).max():.1e}  worst {d.max():.1e}"
              f"  above 1e-3 {(d > 1e-3).mean(1).max():.1%}", flush=True)


if __name__ == "__main__":
    main()
