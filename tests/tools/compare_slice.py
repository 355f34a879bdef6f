"""Compares the engine with the reference on a checkpoint of real dimensions: `python3 tests/tools/compare_slice.py NAME`.

  NAME               flash, pro; flash-tiny, pro-tiny: the same layers with tiny dimensions
  --binary PROGRAM   golden_trace of a build (default build/release/tests/golden/golden_trace)
  --isa NAME ...     instruction sets (default: the best one); the first one is compared, the others have to give its bits; all: every one
  --keep             what the engine ran before is compared again

Writes the checkpoint into the user's cache folder when it is not there (write_slice.py), runs the engine on its tokens and compares
the last 64 positions, which lie behind the place where top-k selects:

  step by step  The reference (tests/golden/reference.py, from the specification, float64) computes what stands behind every product, norm,
                rotation and selection from what the engine had in front of it, with the streams of all positions behind the engine's
                keys and entries. Between two roundings the two may differ by a flipped one here and there: judged is the median distance
                of a row, 1e-4; of keys and entries, which are several products and roundings behind the streams, 1e-2.
                Experts and selected entries are the same, or excused: all that differs stands closer to the border between taken and
                left than the order of sums can move it.
  whole model   The reference runs the 64 positions through all blocks on its own, behind a past whose streams are the engine's. Flips
                cascade then, so the distance is judged against the noise floor: what noise of FP32 size does to the reference itself.
                The likeliest token has to be the same wherever the reference's margin exceeds that floor.

Why step by step: at 4,096 dimensions hardly a position goes through one block without a flipped rounding, and FP8 makes one flip a
hundredth of the block's output. The reference computes queries and experts for the compared positions only: a few minutes of one core.
Exit status 0: within the limits; 1: not; 77: torch, memory or disk is missing.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
import write_slice  # noqa: E402

COMPARED = 64
STEP, NOISE_FACTOR = 1e-4, 3.0  # the last: how much farther off than one draw of noise a whole model may be
LIMITS = {"entries": 1e-2, "keys": 1e-2, "window": 1e-2}  # several steps in one
ROUTE_MARGIN = 1e-5  # scores are f32 sums of 4,096 to 7,168 products: their order moves them by less
SELECT_STEPS = 4.0  # index scores are rounded to BF16 three times: neighbours this many steps apart may swap
GB = 1 << 30
NEED = {"flash": (8, 4), "pro": (14, 8)}  # GiB of memory, of disk; the tiny ones need none


def available_memory():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 0


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def widen(raw):
    return (raw.astype(np.uint32) << 16).view(np.float32)


# ---- the reference's side ----


def distances(expected, found):
    a, b = expected.reshape(len(expected), -1).astype(np.float64), found.reshape(len(found), -1).astype(np.float64)
    return np.linalg.norm(a - b, axis=1) / np.maximum(np.linalg.norm(a, axis=1), 1e-30)


class Steps:
    """What reference.Model.at does while a block is compared: looks at a value, gives the engine's back."""

    def __init__(self, folder, block, c, problems):
        import torch
        self.torch, self.folder, self.block, self.c, self.problems = torch, folder, block, c, problems
        self.by_token = block < c.n_hash
        self.distance, self.read, self.candidates, self.score = {}, {}, None, []
        self.margins = {}

    def stage(self, name):
        if name not in self.read:
            path = self.folder / f"stage.{self.block}.{name}.f32"
            self.read[name] = [np.fromfile(path, np.float32), 0] if path.exists() else None
        return self.read[name]

    def at(self, name, value):
        if name == "candidates":
            self.candidates = value.numpy()
            return value
        if name in ("experts", "selected"):
            return self.choose(name, value)
        if name == "h":
            return self.hidden(*value)
        kept = self.stage(name)
        if kept is None or len(value) == 0:
            return value
        data, used = kept
        if name == "score":  # a row at a time
            self.score.append(value.float().numpy())
            theirs = data[used: used + len(value)]
            kept[1] += len(value)
            self.distance.setdefault(name, []).append(distances(self.score[-1][None], theirs[None]))
            return value
        shape = value.shape
        n = shape[1:].numel()
        rows = len(data) // n
        ours = value[-rows:].float().numpy().reshape(rows, n)
        theirs = data.reshape(rows, n)
        self.distance.setdefault(name, []).append(distances(ours, theirs))
        given = value.clone()
        given[-rows:] = self.torch.from_numpy(theirs.astype(np.float64)).view(rows, *shape[1:])
        return given

    def hidden(self, h, where):
        """Of one expert: rows of the engine by token and place."""
        rows, places = where
        theirs = self.stage("h")[0].reshape(-1, self.c.active, h.shape[1])[rows.numpy(), places.numpy()]
        self.distance.setdefault("h", []).append(distances(h.float().numpy(), theirs))
        return self.torch.from_numpy(theirs.astype(np.float64)), where

    def choose(self, name, ours):
        path = self.folder / f"{name}.{self.block}.i32"
        if not path.exists():
            return ours
        scores = self.score if name == "selected" else self.candidates
        width = len(ours[0])
        theirs = np.fromfile(path, np.int32).reshape(-1, width)
        if name == "experts" and self.by_token:
            n = sum(set(a) != set(b) for a, b in zip(ours.tolist(), theirs.tolist()))
            self.margins[name] = (len(theirs), n, n, np.inf, np.inf)
            self.problems += [f"block {self.block}: {name}"] * (n > 0)
            return ours
        more = len(ours) - len(theirs)  # the MTP block's first pair is not one of those traced
        n_other = n_bad = 0
        margins = []
        for mine, row, score in zip(ours[more:], theirs, scores[more:]):
            mine, row = set(int(i) for i in mine), set(row.tolist())
            border = min(score[i] for i in mine)
            left = max((s for i, s in enumerate(score) if i not in mine), default=-np.inf)
            margins.append(border - left)
            allowed = ROUTE_MARGIN if name == "experts" else SELECT_STEPS * 2.0 ** (np.floor(np.log2(abs(border) + 1e-30)) - 7)
            n_other += mine != row
            n_bad += mine != row and any(i >= len(score) or abs(score[i] - border) > allowed for i in mine ^ row)
        self.margins[name] = (len(theirs), n_other, n_bad, np.median(margins), min(margins))
        if n_bad or more not in (0, 1):
            self.problems.append(f"block {self.block}: {name}")
        if name == "selected":
            return theirs.tolist()
        return self.torch.cat([ours[:more], self.torch.from_numpy(theirs.astype(np.int64))])

    def show(self, block):
        print(f"  {block}", flush=True)
        for name, parts in self.distance.items():
            d = np.concatenate(parts)
            print(f"    {name:10} {len(d):5} rows  same {(d == 0).mean():6.1%}  median {np.median(d):.1e}  worst {d.max():.1e}", flush=True)
            if not np.median(d) <= LIMITS.get(name, STEP):
                self.problems.append(f"{block}: {name}")
        for name, (n, other, bad, median, least) in self.margins.items():
            margin = f"; margin: median {median:.1e}, least {least:.1e}" if np.isfinite(median) else ", by token"
            print(f"    {name:10} {n:5} rows  {other} differ, {bad} without excuse{margin}", flush=True)


class Reference:
    """One block at a time, as Model.block, for several runs through it: weights are dequantised once."""

    def __init__(self, folder):
        import torch

        import reference

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.torch, self.reference = torch, reference
        self.model = reference.Model(folder, stream=True)
        self.tokens = torch.tensor(json.loads((folder / "tokens.json").read_text()))

    def streams(self, path):
        c = self.model.c
        return self.torch.from_numpy(widen(np.fromfile(path, np.uint16))).double().view(-1, c.streams, c.d)

    def run(self, made, problems):
        """Steps of every block, and logits of the 64 positions: of the engine's last streams, through the whole model, and so with noise."""
        c, torch, model, ref = self.model.c, self.torch, self.model, self.reference
        first, exact, plain = len(self.tokens) - COMPARED, ref.bf16, model.at
        deep = noisy = None
        torch.manual_seed(0)

        def with_noise(x):
            moved = x * (1 + 1e-7 * torch.randn(x.shape).double())
            return exact(torch.where(x.float().double() == x, x, moved))

        for n in range(c.n_layers):
            began, p = time.time(), f"layers.{n}."
            X = self.streams(made / f"in.{n}.bf16")
            steps = Steps(made, n, c, problems)

            def block(X):
                return model.block(p, c.ratios[n], n < c.n_hash, self.tokens, X, first)

            model.at = steps.at
            block(X)
            model.at = plain
            deep = block(X if deep is None else torch.cat([X[:-COMPARED], deep]))
            ref.bf16 = with_noise
            noisy = block(X if noisy is None else torch.cat([X[:-COMPARED], noisy]))
            ref.bf16 = exact
            steps.show(f"{p[:-1]}, {time.time() - began:.0f} s")
        last = self.streams(made / f"in.{c.n_layers}.bf16")
        logits = [model.head("", X).float().numpy() for X in (last[-COMPARED:], deep, noisy)]
        model.forget()
        steps = Steps(made, c.n_layers, c, problems)
        model.at = steps.at  # 64 pairs, the first of the token before
        mtp = model.mtp_head(last[-COMPARED - c.window - 1:-1], self.tokens[1:], first - 1).float().numpy()
        model.at = plain
        steps.show("mtp.0")
        return logits, mtp


# ---- comparing ----


def show(what, expected, found):
    d = distances(expected, found)
    print(f"  {what:30} median {np.median(d):.1e}  worst {d.max():.1e}"
          f"  largest difference {np.abs(expected - found).max():.1e} of {np.abs(expected).max():.1f}", flush=True)
    return d


def run_engine(binary, folder, made, isa):
    """False when this machine lacks the instruction set."""
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    done = subprocess.run([str(binary), str(folder), str(made), isa or "best", str(len(os.sched_getaffinity(0)))],
                          stdout=subprocess.PIPE, text=True)
    print("  " + done.stdout.strip().replace("\n", "\n  "), flush=True)
    if done.returncode not in (0, 77):
        sys.exit("the engine did not run through, or decodes other bits than it prefills")
    return done.returncode == 0


def same_bits(a, b):
    names = sorted(p.name for p in a.iterdir())
    other = [n for n in names if not (b / n).exists() or (a / n).read_bytes() != (b / n).read_bytes()]
    return names, other


def compare(name, folder, binary, isas, keep):
    import torch

    folder = write_slice.ensure(name, folder)
    c, n_tokens = write_slice.SLICES[name]
    vocab = c["vocab_size"]
    made, problems = folder / "engine", []
    print(f"{name}: {n_tokens} tokens, the last {COMPARED} compared")
    if not (keep and (made / "logits.f32").exists()):
        run_engine(binary, folder, made, isas[0])
    for isa in isas[1:]:
        if run_engine(binary, folder, folder / "engine.other", isa):
            names, other = same_bits(made, folder / "engine.other")
            print(f"  {isa}: {len(names)} files, {len(other)} differ in some bit")
            problems += [f"{isa}: {n}" for n in other]
        shutil.rmtree(folder / "engine.other")

    print(f"{name}: step by step, on what the engine had in front of each", flush=True)
    with torch.no_grad():
        (logits, deep, noisy), mtp = Reference(folder).run(made, problems)
    engine = np.fromfile(made / "logits.f32", np.float32).reshape(COMPARED, vocab)
    for what, expected, found in (("logits", logits, engine),
                                  ("MTP logits", mtp[1:], np.fromfile(made / "mtp.f32", np.float32).reshape(-1, vocab))):
        if not np.median(show(what, expected, found)) <= STEP:
            problems.append(what)

    print(f"{name}: the whole model")
    off = show("reference, engine", deep, engine)
    floor = show("reference, with noise", deep, noisy)
    if not np.median(off) <= NOISE_FACTOR * max(np.median(floor), STEP):
        problems.append("whole model: distance beyond the noise floor")
    best = np.sort(deep, 1)[:, -2:]
    clear = best[:, 1] - best[:, 0] > 2 * np.abs(deep - noisy).max(1)
    same = deep.argmax(1) == engine.argmax(1)
    print(f"  likeliest token the same in {same.mean():.1%}, in {same[clear].sum()} of {clear.sum()} whose margin exceeds the noise;"
          f" with noise in {(deep.argmax(1) == noisy.argmax(1)).mean():.1%}")
    if not same[clear].all():
        problems.append("whole model: likeliest token")
    return problems


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("name", choices=sorted(write_slice.SLICES))
    args.add_argument("--binary", default=HERE.parent.parent / "build/release/tests/golden/golden_trace")
    args.add_argument("--isa", nargs="*", default=[None])
    args.add_argument("--keep", action="store_true")
    a = args.parse_args()
    try:
        import torch  # noqa: F401
    except ImportError:
        skip("torch is not installed")
    memory, disk = NEED.get(a.name, (0, 0))
    if available_memory() < memory * GB:
        skip(f"{available_memory() / GB:.1f} GiB of memory are free, {memory} are needed")
    folder = write_slice.folder_of(a.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists() and shutil.disk_usage(folder.parent).free < disk * GB:
        skip(f"{disk} GiB of disk are needed in {folder.parent}")
    isas = [None, "ref", "avx2", "avx512", "amx"] if a.isa == ["all"] else a.isa or [None]
    if a.name in NEED:
        problems = compare(a.name, None, a.binary, isas, a.keep)
    else:  # written anew each time, so that suites may run side by side
        with tempfile.TemporaryDirectory() as folder:
            problems = compare(a.name, pathlib.Path(folder) / "checkpoint", a.binary, isas, a.keep)
    for p in problems:
        print(f"beyond its limit: {p}")
    print("within the limits" if not problems else f"{len(problems)} beyond the limits")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
