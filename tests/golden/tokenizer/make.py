"""Writes tokenizer.json (a small vocabulary on the splits of DeepSeek-V4) and cases.json: texts with the ids that the Hugging Face
tokenizers give them, so that the comparison runs where no Python is.

    pip install tokenizers==0.23.3 && python3 tests/golden/tokenizer/make.py
"""
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
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


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(x), 'isolated') for x in SPLITS]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([*texts(), '中文 カタカナ 한국어 ' * 40], trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
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
        out.write('[\n' + ',\n'.join(json.dumps(r, separators=(',', ':')) for r in rows) + '\n]\n')


if __name__ == '__main__':
    main()
