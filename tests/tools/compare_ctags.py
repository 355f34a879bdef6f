#!/usr/bin/env python3
"""Compares the definitions that deepread finds with universal-ctags', on any repository.

    tests/tools/compare_ctags.py --deepread build/deepread --model models/nano REPOSITORY... [--extras 100] [--misses 20]

A tag is found when deepread has a definition or member of the same name in the same file, at most one line away. Only
kinds that both mean the same by are counted: function, method, class, struct, enum, macro, constant. Extras are
deepread's definitions of these kinds that ctags has under no kind at all; a seeded sample is printed with its source
lines, to be judged by reading.

Left out of both: files that git does not track, tags that ctags made a name up for, and files that deepread does not
parse on purpose (minified or generated text, see --list-skipped).
"""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys

LANGUAGES = ["C", "C++", "Python", "Go", "Rust", "Java", "JavaScript"]
# What a kind of ctags is called here.
KINDS = {
    "C": {"function": "function", "struct": "struct", "enum": "enum", "macro": "macro"},
    "C++": {"function": "function", "class": "class", "struct": "struct", "enum": "enum", "macro": "macro"},
    "Python": {"function": "function", "member": "method", "class": "class"},
    "Go": {"func": "function", "const": "constant", "struct": "struct"},
    "Rust": {"function": "function", "method": "method", "struct": "struct", "enum": "enum", "macro": "macro"},
    "Java": {"method": "method", "class": "class", "enum": "enum"},
    "JavaScript": {"function": "function", "generator": "function", "method": "method", "getter": "method",
                   "setter": "method", "class": "class", "constant": "constant"},
}
COUNTED = {"function", "method", "class", "struct", "enum", "macro", "constant"}
LONG_LINE = 5000
C_LIKE = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh")  # ctags lists no declarations of these


def tracked(root):
    out = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True).stdout
    return [os.fsdecode(p) for p in out.split(b"\0") if p]


def read(root, path):
    with open(os.path.join(root, path), "rb") as f:
        return f.read()


def ctags(root, paths):
    """[(path, line, name, language, kind of ctags)]; headers are C where the repository is more C than C++."""
    n_c = sum(p.endswith(".c") for p in paths)
    n_cpp = sum(p.endswith((".cc", ".cpp", ".cxx", ".hpp")) for p in paths)
    command = ["ctags", "--options=NONE", "--output-format=json", "--fields=NFnKl", "--languages=" + ",".join(LANGUAGES),
               "--extras={fileScope}", "-f", "-", "-L", "-"]
    if n_c > n_cpp:
        command.insert(2, "--langmap=C:+.h")
    out = subprocess.run(command, cwd=root, input="\n".join(paths), capture_output=True, text=True, errors="replace",
                         check=True).stdout
    tags = []
    for line in out.split("\n"):
        t = json.loads(line, strict=False) if line else {}
        if t.get("_type") == "tag" and "line" in t:
            tags.append((t["path"], t["line"], t["name"], t["language"], t["kind"]))
    return tags


def ours(command, root):
    """[(path, line, name, kind)]"""
    out = subprocess.run(command + ["tool", "--batch", "-C", root], input='{"name": "symbols"}\n', capture_output=True,
                         text=True, errors="replace", check=True).stdout
    return [(path, line, name, kind) for name, _, places in json.loads(out)["symbols"] for path, line, kind in places]


def same_name(name):
    return re.sub(r"\s+", "", name).lstrip("#")  # "operator ==", a private field of JavaScript


def made_up(name):
    return name.startswith(("__anon", "Anonymous", "anonymous")) or name == "" or name == "<anonymous>"


def is_js_class(line, name):
    """What ctags calls a JavaScript class is also any name that is given an object (a test's data), and the line of
    T.prototype.x besides that of T. Only a class or a constructor is one here; the rest is counted apart."""
    n = re.escape(name)
    return re.search(rf"\b(class|function)\s+{n}\b|\b{n}\s*[=:]\s*(async\s+)?(class|function|\(|\w+\s*=>)", line)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deepread", default="deepread")
    p.add_argument("--model", help="folder of a model, for its tokenizer")
    p.add_argument("--language", help="only this one, as ctags calls it")
    p.add_argument("--extras", type=int, default=0, help="how many extras to print")
    p.add_argument("--misses", type=int, default=0, help="how many missed tags to print for each language and kind")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--list-skipped", action="store_true")
    p.add_argument("repositories", nargs="+")
    a = p.parse_args()
    def source(root, path, line):
        lines = read(root, path).split(b"\n")
        return lines[line - 1].decode("utf-8", "replace").strip()[:110] if line <= len(lines) else ""

    command = [a.deepread] + (["--model", a.model] if a.model else [])

    found, total = collections.Counter(), collections.Counter()
    misses, extras, n_ours = collections.defaultdict(list), [], collections.Counter()
    for root in a.repositories:
        short = os.path.basename(os.path.abspath(root))
        paths, skipped = [], []
        for path in tracked(root):
            full = os.path.join(root, path)
            if os.path.islink(full) or not os.path.isfile(full):
                continue
            data = read(root, path)
            long_lines = any(len(l) > LONG_LINE for l in data.split(b"\n"))
            minified = long_lines or path.endswith((".min.js", ".min.cjs", ".min.mjs"))
            (skipped if b"\0" in data[:8000] or minified or len(data) > 4 << 20 else paths).append(path)
        if a.list_skipped:
            for path in skipped:
                print(f"skipped {short} {path}")
        kept = set(paths)
        tags = ctags(root, paths)
        defs = [d for d in ours(command, root) if d[0] in kept]
        have, tagged, languages = set(), set(), {}
        for path, line, name, kind in defs:
            if kind != "prototype" or not path.endswith(C_LIKE):
                for near in (line - 1, line, line + 1):
                    have.add((path, near, same_name(name)))
        for path, line, name, language, kind in tags:
            languages[path] = language
            for near in (line - 1, line, line + 1):
                tagged.add((path, near, same_name(name)))
            to = KINDS.get(language, {}).get(kind)
            if not to or made_up(name) or (a.language and language != a.language):
                continue
            if language == "JavaScript" and to == "class" and not is_js_class(source(root, path, line), name):
                to = "(object)"
            total[language, to] += 1
            if (path, line, same_name(name)) in have:
                found[language, to] += 1
            else:
                misses[language, to].append((short, root, path, line, name))
        for path, line, name, kind in defs:
            language = languages.get(path)
            if language not in KINDS or kind not in COUNTED or (a.language and language != a.language):
                continue
            n_ours[language] += 1
            if (path, line, same_name(name)) not in tagged:
                extras.append((language, short, root, path, line, name, kind))

    rng = random.Random(a.seed)
    print(f"{'language':<12} {'kind':<10} {'ctags':>8} {'found':>8} {'recall':>8}")
    for language in LANGUAGES:
        kinds = sorted((k for l, k in total if l == language), key=lambda k: (k[0] == "(", k))
        for kind in kinds:
            n, ok = total[language, kind], found[language, kind]
            print(f"{language:<12} {kind:<10} {n:>8} {ok:>8} {100 * ok / n:>7.2f}%")
        n = sum(total[language, k] for k in kinds if k[0] != "(")
        if n:
            ok = sum(found[language, k] for k in kinds if k[0] != "(")
            n_extra = sum(e[0] == language for e in extras)
            print(f"{language:<12} {'all':<10} {n:>8} {ok:>8} {100 * ok / n:>7.2f}%   deepread has {n_ours[language]}, "
                  f"{n_extra} of them extra")
    for key in sorted(misses):
        chosen = misses[key] if len(misses[key]) <= a.misses else rng.sample(misses[key], a.misses)
        for short, root, path, line, name in sorted(chosen):
            print(f"miss  {key[0]} {key[1]} {short} {path}:{line} {name}: {source(root, path, line)}")
    chosen = extras if len(extras) <= a.extras else rng.sample(extras, a.extras)
    for language, short, root, path, line, name, kind in sorted(chosen):
        print(f"extra {language} {kind} {short} {path}:{line} {name}: {source(root, path, line)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
