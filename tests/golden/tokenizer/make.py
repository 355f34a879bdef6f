"""Writes tokenizer.json (a small vocabulary on the splits of DeepSeek-V4) and cases.json: texts with the ids that the Hugging Face
tokenizers give them, so that the comparison runs where no Python is.

    pip install tokenizers==0.23.3 && python3 tests/golden/tokenizer/make.py
"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'tools'))
import tokenizer_corpus # noqa: E402

# A little of many languages: what stands next to what differs between them.
LANGUAGES = {
    'c': '#include <stdio.h>\n\nstatic int add(const int *v, size_t n)\n{\n\tint sum = 0; /* of all */\n\tfor (size_t i = 0; i < n; i++)\n\t\tsum += v[i] << 1;\n\treturn sum ? sum : -1;\n}\n',
    'c++': 'template <typename T>\nauto largest(const std::vector<T>& v) -> T {\n  T best{};\n  for (auto&& x : v) best = std::max(best, x);\n  return best;  // or T{}\n}\n',
    'python': '@cached\ndef walk(tree, *, depth=0):\n    """Depth first."""\n    for k, v in sorted(tree.items()):\n        yield f"{depth:>3} {k!r}"\n        if isinstance(v, dict):\n            yield from walk(v, depth=depth + 1)\n',
    'javascript': 'export const sum = async (xs = []) => {\n  const out = await Promise.all(xs.map((x) => x?.value ?? 0));\n  return `total: ${out.reduce((a, b) => a + b, 0)}`;\n};\n',
    'typescript': 'interface Row<K extends string> { readonly [key: string]: unknown; id: K }\ntype Names = keyof typeof table & string;\nlet x: Row<"a"> | undefined = undefined!;\n',
    'rust': "impl<'a, T: Clone + 'a> Iterator for Walk<'a, T> {\n    type Item = &'a T;\n    fn next(&mut self) -> Option<Self::Item> {\n        self.at.checked_add(1).and_then(|i| self.v.get(i)?.as_ref())\n    }\n}\n",
    'go': 'func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {\n\tif v, ok := s.m[key]; ok {\n\t\treturn v, nil\n\t}\n\treturn nil, fmt.Errorf("get %q: %w", key, ErrNotFound)\n}\n',
    'java': '/** Counts. */\npublic final class Counter<K> {\n    private final Map<K, Long> seen = new HashMap<>();\n    public long add(K key) { return seen.merge(key, 1L, Long::sum); }\n}\n',
    'kotlin': 'data class Point(val x: Int, val y: Int = 0)\nfun List<Point>.far() = filter { (x, y) -> x * x + y * y > 1_000 }.sortedByDescending { it.x }\n',
    'ruby': "class Stack\n  attr_reader :items\n  def push(x) = (@items ||= []) << x\n  def each(&block) = items.each(&block)\nend\nputs %w[a b].map(&:upcase).join(', ') unless $DEBUG\n",
    'php': "<?php\nfunction greet(?string $name = null): string {\n    return 'Hello, ' . ($name ?? \"you\") . '!';\n}\n$rows = array_map(fn($r) => $r['id'], $db->query(\"SELECT * FROM t\"));\n",
    'c#': 'public record Person(string First, string Last)\n{\n    public string Full => $"{First} {Last}";\n    public static Person? Parse(string s) => s.Split(\' \') is [var a, var b] ? new(a, b) : null;\n}\n',
    'shell': '#!/bin/sh\nset -eu\nfor f in "$@"; do\n\t[ -r "$f" ] || { echo "no $f" >&2; exit 1; }\n\tsed -n \'s/^#define \\([A-Z_]*\\).*/\\1/p\' "$f" | sort -u\ndone\n',
    'lua': 'local M = {}\nfunction M.each(t, f)\n  for k, v in pairs(t) do if v ~= nil then f(k, v) end end\n  return #t, ...\nend\nreturn M\n',
    'haskell': "quick :: Ord a => [a] -> [a]\nquick [] = []\nquick (x:xs) = quick [y | y <- xs, y < x] ++ [x] ++ quick (filter (>= x) xs) -- that's it\n",
    'json': '{"name": "a\\u00e9\\n", "list": [1, -2.5e-10, true, null], "nested": {"": {}}}\n',
    'yaml': 'jobs:\n  - name: "x"\n    steps: [a, b]\n    text: |\n      two\n\n      lines\n',
    'html': '<!doctype html>\n<p class="a b" data-x=\'1\'>Text &amp; more<br/>\n<!-- no --></p>\n',
    'css': '.a:hover > b[data-x="1"]::after { margin: -1.5em auto 0; content: "\\201c"; color: #fFf }\n',
    'sql': "SELECT a.id, count(*) FROM t1 AS a LEFT JOIN t2 b ON b.id = a.id WHERE a.x >= '2020-01-01' GROUP BY 1;\n",
}
SPLITS = [
    r'\p{N}{1,3}',
    '[一-龥\u3040-ゟ゠-ヿ]+',
    r'''[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^''' + '\r\n' + r'''\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+['''
    + '\r\n' + r''']*|\s*[''' + '\r\n' + r''']+|\s+(?!\S)|\s+''',
]
# Some ignore the normalizer and some do not: the first kind is looked for first.
ADDED = [('<s>', True), ('</s>', True), ('｜mark｜', False), ('<s', False), ('>x', False), ('end of text', True)]
SCRAPS = ['\r', '\n', '\r\n', '\t', ' ', '  ', '\u00a0', '\u0085', '\u180e', '\u200b', '\u3000', '\u2028', '\ufeff', '\x00', '\x1f', '\x7f',
          '~~~', '::', '_', '\u0301', 'e\u0301', 'ー', '・', '゛', '\u3040', '龥', '龦', '中文', 'カタカナ', '한국어', '١٢٣', '½', 'Ⅷ', '〇',
          '🙂', '\ue000', '\U0010ffff', '\u0378', "'s", '`', 'Word', 'camelCase', 'SNAKE_CASE', '123', '1234567', '0x1F', 'the ', 'return',
          '<s>', '</s>', '｜mark｜', '<s', '>x', 'end of text', '<', '>', 's>']


def texts():
    for folder in ('base', 'docs'):
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            path = os.path.join(ROOT, folder, name)
            if os.path.isfile(path):
                yield open(path, encoding='utf-8').read()


def all_texts():
    yield from texts()
    yield from LANGUAGES.values()
    for name, data in tokenizer_corpus.generated(1, 20000): # many of a kind, so that there are merges in every script
        if name != 'damaged':
            yield data.decode()


def ids_of_bytes(tokenizer, data):
    """What stands between bytes that are no UTF-8, alone; each such byte as its own token."""
    symbols = tokenizer.get_vocab()
    out, held = [], ''
    for c in data.decode(errors='surrogateescape') + '\udc80':
        if '\udc80' <= c <= '\udcff':
            out += tokenizer.encode(held).ids if held else []
            byte, held = ord(c) - 0xdc00, ''
            itself = 161 <= byte <= 172 or byte >= 174 # bytes from 128 on
            out.append(symbols[chr(byte if itself else 256 + 34 + (byte - 128 if byte < 161 else 33))])
        else:
            held += c
    return out[:-1]


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(x), 'isolated') for x in SPLITS]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([*all_texts(), '中文 カタカナ 한국어 ' * 40], trainers.BpeTrainer(
        vocab_size=2400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    plain = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.add_tokens([AddedToken(text, special=special, normalized=not special) for text, special in ADDED])
    tokenizer.save(os.path.join(HERE, 'tokenizer.json'), pretty=False)

    rng = random.Random(1)
    cases = []
    for _ in range(250):
        text = ''
        for _ in range(rng.randint(1, 25)):
            kind = rng.random()
            text += (rng.choice(SCRAPS) if kind < .5 else chr(rng.randint(32, 126)) if kind < .8
                     else rng.choice('aZ09 .\n_') * rng.randint(1, 5) if kind < .9 else chr(rng.randint(0x80, 0x2fff)))
        cases.append(text)
    cases += [' ' * 300, 'a' * 300, '\n' * 200 + 'x', ' \t' * 90 + 'x', '中' * 100, '1' * 100, next(texts())[:2000]]
    with open(os.path.join(HERE, 'cases.json'), 'w', encoding='utf-8') as out:
        rows = [{'text': t, 'ids': plain.encode(t).ids, 'special': tokenizer.encode(t).ids} for t in cases]
        for name, t in LANGUAGES.items():
            rows.append({'name': name, 'text': t, 'ids': plain.encode(t).ids})
        for name, data in tokenizer_corpus.generated(2, 1500):
            if name == 'damaged': # no JSON holds it
                rows.append({'name': name, 'hex': data.hex(), 'ids': ids_of_bytes(plain, data)})
            else:
                rows.append({'name': name, 'text': data.decode(), 'ids': plain.encode(data.decode()).ids})
        out.write('[\n' + ',\n'.join(json.dumps(r, separators=(',', ':')) for r in rows) + '\n]\n')


if __name__ == '__main__':
    main()
