"""Our own byte-level BPE, copy-invariant: a name, a path or a number is the same tokens wherever it
stands.

Letters, digits and marks never share a token with anything beside them; digits are single; `_` stands
alone, and words split at the humps of camelCase, so that names share their parts.  Frozen pieces of the
prompt's own markup (LITERALS) may become one token each: they hold no part of a name, and they cut
the tokens of a call from about sixty to about twenty.
"""
import os
import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import dialect

VOCABULARY = 6144
# No literal joins a newline to a letter or digit, so texts may be cut there and tokenised apart.
LITERALS = [
    'tool_calls>\n<', 'invoke name="', '">\n<', 'parameter name="', '" string="true">', '" string="false">',
    'parameter>\n</', 'invoke>\n</', '<tool_result>', '</tool_result>', '\n\n<', '\n- ', '</',
    '` is defined at ', '` is used at:', ' in `', ': call in ', ': use in ', 'I found no ', ' named `', ' to `',
    'no symbol named ', 'no references to ', '\nsimilar: ',
    'I can only say where a name is defined and where it is used.',
    '", "description": "', '", "parameters": {"type": "object", "properties": {"',
    '": {"type": "string"}', '": {"type": "integer"}', '}, "required": ["', '"]}}\n', '{"name": "', '", "', ': ',
]
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
        vocab_size=VOCABULARY, special_tokens=dialect.SPECIAL, max_token_length=80,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tokenizer.save(path)
    return tokenizer


def load(path):
    return Tokenizer.from_file(path)
