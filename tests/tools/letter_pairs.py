#!/usr/bin/env python3
"""Prints the table of repo/secret_value.c: what each letter costs after another one, in bits, in names and words of source.

    letter_pairs.py FOLDER...

Counts pairs of neighbouring letters, case folded, in every text file below the folders, except runs that look encoded
(no vowel within 8 letters). Each row is a first letter, each digit -log2 of the chance of the second, rounded, at most 9.
"""
import math
import os
import re
import sys

LETTERS = "abcdefghijklmnopqrstuvwxyz"
RUN = re.compile(rb"[A-Za-z]{3,24}")
ENCODED = re.compile(rb"[^aeiouyAEIOUY]{8}")
FILE_BYTES = 200_000  # of each file, so that a few large ones do not decide


def main(folders):
    # One name counts once a file: a generated table of one word would outweigh the rest.
    count = [[1] * 26 for _ in range(26)]
    for folder in folders:
        for root, dirs, files in os.walk(folder):
            dirs[:] = sorted(d for d in dirs if d != ".git")
            for name in sorted(files):
                path = os.path.join(root, name)
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                with open(path, "rb") as f:
                    data = f.read(FILE_BYTES)
                if b"\0" in data[:8000]:
                    continue
                for word in set(RUN.findall(data)):
                    if ENCODED.search(word):
                        continue
                    w = word.lower()
                    for a, b in zip(w, w[1:]):
                        count[a - 97][b - 97] += 1
    for a in range(26):
        total = sum(count[a])
        row = "".join(str(min(9, round(-math.log2(count[a][b] / total)))) for b in range(26))
        print(f'    "{row}", /* {LETTERS[a]} */')


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
