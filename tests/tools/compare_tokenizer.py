"""Compares this program's tokenizer with the Hugging Face one, on files and on nasty text. Not part of the test suite: needs the
`tokenizers` package and a built program.

    python3 tests/tools/compare_tokenizer.py build/release/app/deepread MODEL_DIR FOLDER... [--special]
"""
import json
import os
import random
import re
import subprocess
import sys

from tokenizers import Tokenizer

SCRAPS = ['\r', '\n', '\r\n', '\t', ' ', '  ', '\u00a0', '\u0085', '\u180e', '\u200b', '\u3000', '\u2028', '\ufeff', '\x1f', '\x7f', '~~~', '::', '_',
          '\u0301', 'e\u0301', 'ー', '・', '゛', '\u3040', '龥', '龦', '中文', 'カタカナ', '١٢٣', '½', 'Ⅷ', '〇', '🙂', '\ue000', '\U0010ffff', "'s", '`',
          'camelCase', 'SNAKE_CASE', '1234567', '0x1F', '<think>', '<｜User｜>', '｜DSML｜', 'tool_calls>\n<']


def texts(folders):
    for folder in folders:
        for root, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                path = os.path.join(root, name)
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                    try:
                        yield open(path, encoding='utf-8', newline='').read()
                    except UnicodeDecodeError:
                        pass
    rng = random.Random(1)
    yield ''.join(rng.choice(SCRAPS) if rng.random() < .5 else chr(rng.randint(32, 126)) for _ in range(200000))
    yield ''.join('a' + chr(c) + 'b ' + chr(c) + '\n' for c in range(0x110000) if not 0xd800 <= c < 0xe000)


def chunks(folders, size=1 << 20):
    """Texts joined to about a megabyte: starting the program for each would take longest."""
    held = ''
    for text in texts(folders):
        held += text
        if len(held) >= size:
            yield held
            held = ''
    yield held


def main():
    special = '--special' in sys.argv
    program, model, *folders = [a for a in sys.argv[1:] if a != '--special']
    source = json.load(open(os.path.join(model, 'tokenizer.json'), encoding='utf-8'))
    if not special:
        source['added_tokens'] = []
    reference = Tokenizer.from_str(json.dumps(source))
    n_bytes = n_ids = n_bad = 0
    for text in chunks(folders):
        command = [program, 'model', 'tokenize', model, '--ids'] + (['--special'] if special else [])
        out = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
        got = [int(x) for x in re.findall(rb'\d+', out)]
        want = reference.encode(text, add_special_tokens=False).ids
        n_bytes += len(text.encode())
        n_ids += len(want)
        if got != want:
            n_bad += 1
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            print('differs at id', at, [reference.id_to_token(x) for x in got[at:at + 5]], [reference.id_to_token(x) for x in want[at:at + 5]])
    print(f'{n_bytes} bytes, {n_ids} ids, {n_bad} texts differ')
    return n_bad > 0


if __name__ == '__main__':
    sys.exit(main())
