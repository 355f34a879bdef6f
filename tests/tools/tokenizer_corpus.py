"""Text that a tokenizer may stumble over, and code in many languages: the same every time for the same seed and folders.

    python3 tests/tools/tokenizer_corpus.py OUT [--megabytes N] [--seed N] [FOLDER...]

writes it to a file, category after category. Without folders, code is taken from what is installed (headers, Python's and Perl's
libraries, the grammars under third_party/) and from this repository.
"""
import os
import random
import sys
import unicodedata

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
FOLDERS = ['/usr/include', '/usr/lib/python3', '/usr/lib/python3.11', '/usr/share/perl', '/usr/share/doc', '/usr/share/javascript', ROOT]
LANGUAGES = {
    'c': '.c .h', 'c++': '.cc .cpp .hpp .hxx .cxx', 'python': '.py', 'perl': '.pl .pm', 'javascript': '.js .mjs .cjs', 'typescript': '.ts .tsx', 'rust': '.rs',
    'go': '.go', 'java': '.java', 'kotlin': '.kt', 'scala': '.scala', 'ruby': '.rb', 'php': '.php', 'c#': '.cs', 'swift': '.swift', 'shell': '.sh .bash',
    'lua': '.lua', 'zig': '.zig', 'elixir': '.ex .exs', 'css': '.css', 'html': '.html', 'json': '.json', 'yaml': '.yml .yaml', 'toml': '.toml',
    'markdown': '.md', 'scheme': '.scm', 'haskell': '.hs', 'make': '.mk', 'cmake': '.cmake', 'sql': '.sql',
}
LANGUAGE_OF = {end: name for name, ends in LANGUAGES.items() for end in ends.split()}
LARGEST_FILE = 1 << 19

BY_KIND = {}
for _point in range(0x110000):
    if not 0xd800 <= _point < 0xe000:
        BY_KIND.setdefault(unicodedata.category(chr(_point)), []).append(_point)
LETTERS = [p for kind in ('Lu', 'Ll', 'Lt', 'Lm', 'Lo') for p in BY_KIND[kind]]
MARKS = [p for kind in ('Mn', 'Mc', 'Me') for p in BY_KIND[kind]]
NUMBERS = [p for kind in ('Nd', 'Nl', 'No') for p in BY_KIND[kind]]
SIGNS = [p for kind in ('Sc', 'Sk', 'Sm', 'So', 'Pc', 'Pd', 'Pe', 'Pf', 'Pi', 'Po', 'Ps') for p in BY_KIND[kind]]
BLANKS = [*range(9, 14), 0x20, 0x85, 0xa0, 0x1680, 0x180e, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202f, 0x205f, 0x2060, 0x3000, 0xfeff]
CONTROLS = [*range(0, 32), *range(0x7f, 0xa0), 0x200b, 0x200c, 0x200d, 0x200e, 0x202a, 0x202e, 0x2066, 0xad]
HAN = [(0x4e00, 0x9fa5)] * 12 + [(0x9fa6, 0x9fff), (0x3400, 0x4dbf), (0x20000, 0x2a6df), (0xf900, 0xfaff), (0x3005, 0x3007)]
KANA = [(0x3040, 0x309f), (0x30a0, 0x30ff), (0x31f0, 0x31ff), (0xff66, 0xff9f)]
HANGUL = [(0xac00, 0xd7a3), (0x1100, 0x11ff), (0x3131, 0x318e)]
PEOPLE, FACES = [0x1f466, 0x1f467, 0x1f468, 0x1f469, 0x1f474, 0x1f9d1, 0x1f44b, 0x1f44d, 0x270a], [*range(0x1f600, 0x1f64f), 0x263a, 0x2764, 0x1fae0]
THINGS = [0x1f4bb, 0x1f680, 0x1f33e, 0x1f3a8, 0x2695, 0x2696, 0x2708, 0x1f9af, 0x1f527]
WORDS = ['value', 'getName', 'HTTPServer', 'snake_case', 'MAX_SIZE', "don't", 'x', 'naïve', 'straße', 'функция', 'μέγεθος', 'größe', 'I18n', '__init__']


def pick(rng, ranges):
    low, high = rng.choice(ranges)
    return chr(rng.randint(low, high))


def asian(rng):
    ranges = rng.choice([HAN, HAN, KANA, HANGUL])
    text = ''.join(pick(rng, ranges) for _ in range(rng.randint(1, 12)))
    return text + rng.choice(['', '，', '。\n', '、', '！', ' ', '「', '」', '・', 'ー', '龥', '龦', '\u3040', '〇', '２０', 'API', '_', '\r\n'])


def emoji(rng):
    tone = chr(rng.randint(0x1f3fb, 0x1f3ff)) if rng.random() < .4 else ''
    kind = rng.randrange(6)
    if kind == 0: # families and professions
        parts = [chr(rng.choice(PEOPLE)) + tone] + [chr(rng.choice(PEOPLE + THINGS)) + rng.choice(['', '\ufe0f']) for _ in range(rng.randint(1, 3))]
        return '\u200d'.join(parts)
    if kind == 1: # flags: two letters, or a black flag with tags
        if rng.random() < .3:
            return '\U0001f3f4' + ''.join(chr(0xe0061 + rng.randrange(26)) for _ in range(5)) + '\U000e007f'
        return ''.join(chr(0x1f1e6 + rng.randrange(26)) for _ in range(rng.choice([1, 2, 2, 2, 3, 4])))
    if kind == 2: # keycaps
        return rng.choice('0123456789#*') + rng.choice(['', '\ufe0f']) + '\u20e3'
    if kind == 3:
        return chr(rng.choice(PEOPLE)) + tone
    return chr(rng.choice(FACES + THINGS)) + rng.choice(['', '\ufe0f', '\ufe0e', ' ', '!', '\n'])


def marks(rng):
    return chr(rng.choice(LETTERS + [0x25cc, 0x20, 0x31, 0x2d])) + ''.join(chr(rng.choice(MARKS)) for _ in range(rng.choice([1, 1, 2, 3, 6])))


def numbers(rng):
    one = rng.choice(NUMBERS)
    run = ''.join(chr(rng.choice([one, one, rng.choice(NUMBERS), 0x30 + rng.randrange(10)])) for _ in range(rng.randint(1, 9)))
    return rng.choice(['', '', '-', '0x', ' ', '$', 'v']) + run + rng.choice(['', ' ', '.', ',', '\n', 'px', '%', '㎏'])


def blanks(rng):
    blank = rng.choice([' ', ' ', '\t', '\n', '\r\n', '\r', chr(rng.choice(BLANKS))])
    return blank * rng.choice([1, 1, 2, 3, 4, 8, 17]) + rng.choice(['', '', ' ', 'a', '.', '1', '中', '\n'])


def controls(rng):
    return rng.choice(['', 'a', ' ', '\n']) + ''.join(chr(rng.choice(CONTROLS)) for _ in range(rng.randint(1, 4))) + rng.choice(['', 'b', '.', '1'])


def signs(rng):
    run = ''.join(rng.choice([chr(rng.randint(33, 47)), chr(rng.choice(SIGNS)), rng.choice('~~`^|<>=+$')]) for _ in range(rng.randint(1, 6)))
    return rng.choice(['', ' ', 'a', '\t']) + run + rng.choice(['', '\n', '\r\n\n', 'word', ' '])


def mixture(rng):
    return rng.choice([asian, emoji, marks, numbers, blanks, controls, signs, lambda r: r.choice(WORDS), lambda r: chr(r.choice(LETTERS))])(rng)


def unassigned(rng):
    return chr(rng.choice(BY_KIND['Cn'])) + rng.choice(['', 'a', ' ', '1', '.', '中', chr(rng.choice(BY_KIND['Co']))])


CATEGORIES = {'asian': asian, 'emoji': emoji, 'marks': marks, 'numbers': numbers, 'blanks': blanks, 'controls': controls, 'signs': signs,
              'unassigned': unassigned, 'mixture': mixture}


def damaged(rng, n_bytes):
    """Bytes that are not UTF-8: cut and overlong sequences, surrogates, lone bytes, in text of all kinds."""
    out = b''
    while len(out) < n_bytes:
        piece = mixture(rng).encode()
        kind = rng.randrange(6)
        if kind == 0 and len(piece) > 1:
            piece = piece[:rng.randrange(1, len(piece))]
        elif kind == 1:
            piece += rng.choice([b'\xc0\xaf', b'\xe0\x80\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xf8\x88\x80\x80\x80', b'\xff\xfe', b'\x80'])
        elif kind == 2:
            piece += bytes(rng.randrange(128, 256) for _ in range(rng.randint(1, 5)))
        out += piece
    return out


def generated(seed, n_bytes):
    """(category, bytes) of about n_bytes each."""
    for name, make in CATEGORIES.items():
        rng = random.Random(f'{seed} {name}')
        text, size = [], 0
        while size < n_bytes:
            text.append(make(rng) + (' ' if rng.random() < .1 else ''))
            size += len(text[-1].encode())
        yield name, ''.join(text).encode()
    yield 'damaged', damaged(random.Random(f'{seed} damaged'), n_bytes)


def every_character():
    """Every code point behind a letter, behind a blank, and before a newline."""
    return ''.join('a' + chr(c) + 'b ' + chr(c) + '\n' for c in range(0x110000) if not 0xd800 <= c < 0xe000).encode()


def code(folders, n_bytes):
    """(language, bytes): up to n_bytes of each language, whole files, as they are found in the order of their names."""
    held = {name: [] for name in LANGUAGES}
    size = dict.fromkeys(LANGUAGES, 0)
    for folder in folders:
        for root, dirs, names in os.walk(folder):
            dirs[:] = sorted(d for d in dirs if d not in ('.git', 'build'))
            for name in sorted(names):
                language = LANGUAGE_OF.get(os.path.splitext(name)[1])
                path = os.path.join(root, name)
                if not language or size[language] >= n_bytes or os.path.islink(path) or os.path.getsize(path) > LARGEST_FILE:
                    continue
                with open(path, 'rb') as f:
                    held[language].append(f.read())
                size[language] += len(held[language][-1])
    return [(name, b'\n'.join(parts)) for name, parts in held.items() if parts]


def corpus(folders, seed=1, megabytes=24):
    """Every code point, and about the size asked for beside it: half of it code, half of it generated."""
    rest = megabytes * 1000000
    found = code(folders, rest // 2)
    each = rest // 2 // max(len(found), 1)
    missing = sum(max(each - len(text), 0) for _, text in found) # languages of which there is little: the others make up for it
    rich = sum(len(text) > each for _, text in found)
    each += missing // max(rich, 1)
    yield 'every character', every_character()
    for name, text in found:
        yield name, text[:each]
    yield from generated(seed, rest // 2 // (len(CATEGORIES) + 1))


def main():
    seed, megabytes, names = 1, 24, []
    args = iter(sys.argv[1:])
    for arg in args:
        if arg == '--seed':
            seed = int(next(args))
        elif arg == '--megabytes':
            megabytes = int(next(args))
        else:
            names.append(arg)
    if not names:
        sys.exit(__doc__)
    with open(names[0], 'wb') as out:
        for name, text in corpus(names[1:] or FOLDERS, seed, megabytes):
            out.write(text)
            print(f'{len(text):10} {name}')


if __name__ == '__main__':
    main()
