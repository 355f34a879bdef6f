"""Our own byte-level BPE, copy-invariant: a name, a path or a number is the same tokens wherever it
stands.

Letters, digits and marks never share a token with anything beside them; digits are single; `_` stands
alone, and words split at the humps of camelCase, so that names share their parts.  Frozen pieces of the
prompt's own markup (LITERALS) may become one token each: they hold no part of a name, and they cut
the tokens of a call from about sixty to about fifteen.
"""
import os
import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import dialect

VOCABULARY = 6144


def _literals():
    """Pieces of our own markup, sentences and results.  None holds a digit or a character beyond ASCII, and none that
    holds a newline reads as the head of a pack's unit, so texts may be cut there and tokenised apart."""
    out = ['tool_calls>\n<', '">\n<', 'parameter>\n</', 'invoke>\n</', 'parameter name="', '" string="true">',
           '<tool_result>', '</tool_result>', '\n\n<', '\n- ', '</', '{"name": "', '", "', ': ',
           ': call in ', ': use in ', 'no symbol named ', 'no references to ', 'no calls of ', '\nsimilar: ', 'no file named ',
           'several files end in ', ' does not call ', 'nothing imports ', 'no match for ', ' is named ', ' places in ', ': lines ',
           'Answer questions about this repository. Use the tools. Cite path:line.',
           '## Tools', 'Call a tool like this:', '### Available Tool Schemas', 'Copy names, paths and lines exactly.',
           '": {"type": "string"}']
    out += [f'\n{word}: ' for word in ('signature', 'parameters', 'returns', 'fields', 'value', 'line', 'doc')]
    for name, description, arguments in dialect.ROSTER:
        line = dialect.schema(name, description, arguments)
        border = line.index('"properties": {') + len('"properties": {')
        out += [f'invoke name="{name}">\n<', line[:border], line[border:]]
    # what a sentence says between its holes
    for text in dialect.SENTENCES.values():
        out += [p for p in re.split(r'\{\w+\}|\{\w+(?:\|\w+)+\}|[{}]', text) if len(p) > 1]
    # one that begins like a name could be the end of one: `jobDone.` must hold the tokens of `jobDone`
    return sorted(set(x for x in out if x not in ('Done.', 'Yes, `', 'No, `')), key=lambda x: (-len(x), x))


LITERALS = _literals()
WORDS = (r'\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Lu}|[\p{L}\p{M}]|\p{N}|_|[ \t]+|[\r\n]+|[^\p{L}\p{M}\p{N}]')


def literal_pattern():
    """The literals as one alternation, longest first; the same text for Onigmo and for PCRE2."""
    quoted = (re.sub(r'([][(){}.*+?|^$\\])', r'\\\1', x).replace('\n', '\\n') for x in LITERALS)
    return '|'.join(sorted(quoted, key=len, reverse=True))


def pre_tokenizer():
    # The literals' pieces would be split again by the later pattern, so it lets them pass whole.
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r'\p{N}'), 'isolated'),
        pre_tokenizers.Split(Regex(literal_pattern() + '|' + WORDS), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def train(texts, path):
    """Learns the merges from an iterable of texts and writes tokenizer.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=dialect.SPECIAL, max_token_length=160,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tokenizer.save(path)
    return tokenizer


def load(path):
    return Tokenizer.from_file(path)
