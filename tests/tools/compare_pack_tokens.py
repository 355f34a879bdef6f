"""Compares the token ids of whole repositories with those of the Hugging Face tokenizer. Not part of the test suite: needs the
`tokenizers` package and a built program.

    python3 tests/tools/compare_pack_tokens.py PROGRAM MODEL_DIR REPOSITORY... [--whole] [--jobs N]

Every text file (`deepread pack --json` says which they are) is encoded alone by `deepread model tokenize` and by the reference
with the same tokenizer.json. With --whole also the full pack: the reference encodes its text in one piece, and the SHA-256 of those
ids has to be the one that the program gives for ids which it put together unit by unit. Prints what differs; exit 1 if anything
does.
"""
import argparse
import array
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer


def reference_of(model):
    """The vocabulary without its special tokens: text of a repository never becomes one."""
    source = json.load(open(os.path.join(model, 'tokenizer.json'), encoding='utf-8'))
    source['added_tokens'] = []
    return Tokenizer.from_str(json.dumps(source))


def pack(program, model, repository, out):
    command = [program, 'pack', '-C', repository, '--model', model, '--mode', 'full', '--budget', '0', '--no-cache', '--json', '--out', out]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def ids_of(program, model, data):
    out = subprocess.run([program, 'model', 'tokenize', model, '--ids'], input=data, capture_output=True, check=True).stdout
    return [int(x) for x in re.findall(rb'\d+', out)]


def show(reference, got, want):
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    names = [[reference.id_to_token(x) for x in ids[at:at + 5]] for ids in (got, want)]
    return f'at id {at}: {names[0]} instead of {names[1]}'


def main():
    args = argparse.ArgumentParser()
    args.add_argument('program')
    args.add_argument('model')
    args.add_argument('repository', nargs='+')
    args.add_argument('--whole', action='store_true')
    args.add_argument('--jobs', type=int, default=1)
    args = args.parse_args()
    reference = reference_of(args.model)
    failed = False

    for repository in args.repository:
        n_files = n_bytes = n_ids = n_bad = n_other = 0
        with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            text_path = os.path.join(folder, 'pack.txt')
            report = pack(args.program, args.model, repository, text_path)

            def compare(entry):
                data = open(os.path.join(repository, entry['path']), 'rb').read()
                try:
                    text = data.decode()
                except UnicodeDecodeError:
                    return None  # converted on reading: only in the whole pack
                return entry['path'], len(data), ids_of(args.program, args.model, data), reference.encode(text, add_special_tokens=False).ids

            entries = [f for f in report['files'] if f['class'] in ('text', 'generated')]
            for result in pool.map(compare, entries):
                if result is None:
                    n_other += 1
                    continue
                path, size, got, want = result
                n_files, n_bytes, n_ids = n_files + 1, n_bytes + size, n_ids + len(want)
                if got != want:
                    n_bad += 1
                    print(f'{repository}: {path} {show(reference, got, want)}')
            whole = ''
            if args.whole:
                text = open(text_path, encoding='utf-8', newline='').read()
                ids = array.array('i', reference.encode(text, add_special_tokens=False).ids)
                same = len(ids) == report['tokens'] and hashlib.sha256(ids.tobytes()).hexdigest() == report['ids_sha256']
                whole = f'; the pack of {len(ids)} ids: {"equal" if same else "DIFFERS"}'
                n_bad += not same
        print(f'{repository}: {n_files} files, {n_bytes} bytes, {n_ids} ids, {n_bad} differ, {n_other} not UTF-8{whole}', flush=True)
        failed = failed or n_bad > 0
    return failed


if __name__ == '__main__':
    sys.exit(main())
