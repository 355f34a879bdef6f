"""Writes the golden data: `python3 tests/golden/make.py [NAME ...]`, from any folder.

  data/NAME/config.json, tokens.json    inputs (weights are made anew by whoever needs them, see checkpoint.py)
  data/NAME/real.npy, real.mtp.npy      logits by reference.py
  data/NAME/wide.npy                    logits by transformers in FP32 (oracle.py, its own process)
  data/NAME/wide.mtp.npy                logits by reference.py without rounding: transformers has no MTP block
  data/checkpoints.txt                  SHA-256 of the weights file, name, key, storage of the experts

Deep models have no real.npy: rounding flips cascade there, two right engines differ by several percent.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import checkpoint

HERE = pathlib.Path(__file__).parent
ONE_LAYER = ("swa", "hash", "csa", "hca", "fp8", "mtp")


def run(*words):
    subprocess.run([sys.executable, *map(str, words)], check=True)


def main():
    lines = []
    for name, (key, n, config) in checkpoint.CHECKPOINTS.items():
        data = HERE / "data" / name
        data.mkdir(parents=True, exist_ok=True)
        (data / "config.json").write_text(checkpoint.dump_config(config))
        tokens = checkpoint.tokens(key, n, config["vocab_size"])
        (data / "tokens.json").write_text(json.dumps(tokens) + "\n")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.json").write_text(checkpoint.dump_config(config))
            lines.append(f"{checkpoint.write(folder, key, config)} {name} {key} {config['expert_dtype']}\n")
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            reference = [HERE / "reference.py", folder, data / "tokens.json"]
            if name in ONE_LAYER:
                run(*reference, data / "real.npy")
            run(HERE / "oracle.py", folder, data / "tokens.json", data / "wide.npy")
            if name == "mtp":
                run(*reference, data / "real.mtp.npy", "--mtp")
                run(*reference, data / "wide.mtp.npy", "--mtp", "--wide")
        print(name, flush=True)
    (HERE / "data" / "checkpoints.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
