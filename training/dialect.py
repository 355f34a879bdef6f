"""The text around a question: the official chat format with this model's own profile and texts.

Everything the C program renders is rendered here the same way: system text = PACK, blank line,
instructions, blank line, tools block; then turns.  Instructions, tools head and the sentences come from
training/profile, never from here; the schema lines follow docs/tools.md byte by byte.
"""
import functools
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PROFILE = os.path.join(HERE, 'profile')
NANO = os.path.join(ROOT, 'models', 'nano')

BOS, EOS, PAD = '<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>', '<｜▁pad▁｜>'
REMINDER, USER, ASSISTANT, THINK, END_THINK, DSML = '<｜latest_reminder｜>', '<｜User｜>', '<｜Assistant｜>', '<think>', '</think>', '｜DSML｜'
SPECIAL = [BOS, EOS, PAD, USER, ASSISTANT, THINK, END_THINK, DSML, REMINDER,
           '<｜action｜>', '<｜query｜>', '<｜authority｜>', '<｜domain｜>', '<｜title｜>', '<｜read_url｜>',
           '<｜fim▁hole｜>', '<｜fim▁begin｜>', '<｜fim▁end｜>']

# The frozen roster: name, description, arguments (all of them required strings).
ROSTER = [
    ('find_symbol', 'where a name is defined', ('name',)),
    ('find_symbol_in', 'where a name is defined, of one file, folder or kind', ('name', 'place')),
    ('find_refs', 'where a name is used', ('name',)),
    ('call_sites', 'calls of a function', ('name',)),
    ('parameters', 'parameters of a function', ('name',)),
    ('returns', 'what a function returns', ('name',)),
    ('fields', 'fields of a type', ('name',)),
    ('value', 'value of a constant', ('name',)),
    ('comment', 'comment or signature of a name', ('name',)),
    ('calls', 'whether one function calls another', ('caller', 'callee')),
    ('find_file', 'files by name', ('name',)),
    ('outline', 'what a file defines', ('path',)),
    ('imports', 'what a file imports', ('path',)),
    ('importers', 'what imports a file or module', ('name',)),
    ('grep', 'lines that match a pattern', ('pattern',)),
    ('set_value', 'give a constant another value', ('name', 'value')),
    ('rename', 'rename a name in a file', ('path', 'old', 'new')),
    ('rename_everywhere', 'rename a name in all files', ('old', 'new')),
    ('add_import', 'add an import to a file', ('path', 'import')),
    ('add_statement', 'add a statement at the start of a function', ('name', 'statement')),
]


def read_json(path):
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def schema(name, description, arguments):
    properties = ', '.join('"%s": {"type": "string"}' % a for a in arguments)
    required = ', '.join('"%s"' % a for a in arguments)
    return ('{"name": "%s", "description": "%s", "parameters": {"type": "object", "properties": {%s}, "required": [%s]}}'
            % (name, description, properties, required))


def schemas():
    return [schema(*row) for row in ROSTER]


@functools.cache
def profile():
    return read_json(os.path.join(PROFILE, 'deepread.json'))


@functools.cache
def behind_pack():
    """Instructions and tools block: what follows the map in every conversation."""
    words = read_json(os.path.join(PROFILE, 'dialect.json'))
    return profile()['instructions'] + '\n\n' + words['tools_head'] + '\n'.join(schemas()) + words['tools_tail']


def system(pack):
    return (pack + '\n\n' if pack else '') + behind_pack()


def user(text):
    return USER + text + ASSISTANT + END_THINK


def asked(text, reminder=None):
    """A question, behind the reminder of what the index knows of its words."""
    return (REMINDER + reminder if reminder else '') + user(text)


def tool_result(text):
    return user('<tool_result>' + text + '</tool_result>')


def call(tool, **arguments):
    rows = [f'<{DSML}parameter name="{k}" string="true">{v}</{DSML}parameter>' for k, v in arguments.items()]
    return (f'\n\n<{DSML}tool_calls>\n<{DSML}invoke name="{tool}">\n' + '\n'.join(rows)
            + f'\n</{DSML}invoke>\n</{DSML}tool_calls>' + EOS)


# The profile's sentences, by a name of their own: what dialogues say and what evaluation expects.
SENTENCES = {
    'defined': '`{symbol}` is defined at {cite}.',
    'several': '`{symbol}` is defined at:{\n- {cite}}',
    'used': '`{symbol}` is used at:{\n- {cite} in `{enclosing}`}',
    'judged': '`{symbol}` is called at:{\n- {cite}: {bounded|unbounded|unclear} in `{enclosing}`}',
    'absent': 'I found no symbol named `{symbol}`.',
    'similar': 'I found no symbol named `{symbol}`. Similar: {similar}.',
    'unused': 'I found no references to `{symbol}`.',
    'uncalled': 'I found no calls of `{symbol}`.',
    'takes': '`{symbol}` takes `{parameters}` ({cite}).',
    'takes nothing': '`{symbol}` takes no parameters ({cite}).',
    'returns': '`{symbol}` returns `{returns}` ({cite}).',
    'returns nothing': '`{symbol}` returns nothing ({cite}).',
    'returns undeclared': '`{symbol}` does not declare what it returns ({cite}).',
    'fields': '`{symbol}` has the fields `{fields}` ({cite}).',
    'value': '`{symbol}` is `{value}` ({cite}).',
    'doc': '`{symbol}` ({cite}): {doc}',
    'no doc': '`{symbol}` has no comment. Its signature ({cite}): `{signature}`',
    'file': 'The file is {path}.',
    'files': 'The files are:{\n- {path}}',
    'no file': 'I found no file named `{symbol}`.',
    'outline': '{path} defines:{\n- `{name}` at {cite}}',
    'no outline': '{path} defines nothing that I know.',
    'imports': '{path} imports:{\n- `{import}` at {cite}}',
    'no imports': '{path} imports nothing.',
    'importers': '`{symbol}` is imported at:{\n- {cite}}',
    'no importers': 'I found nothing that imports `{symbol}`.',
    'calls': 'Yes, `{symbol}` calls `{callee}` at {cite}.',
    'no call': 'No, `{symbol}` does not call `{callee}`.',
    'stands': '`{symbol}` stands at:{\n- {cite}}',
    'no line': 'I found no line with `{symbol}`.',
    'packed': 'That is `{symbol}` at {cite}.',
    'done': 'Done.',
    'no edit': 'I could not make that edit.',
    'decline': 'I can only find names, files, uses and imports, read signatures, fields, values and comments, and make small edits.',
}
GROUP = re.compile(r'\{([^{}|]*(?:\{[^{}]*\}[^{}|]*)+)\}', re.S)


def say(which, places=(), **holes):
    """A sentence filled in; `places`, a list of dicts, fills the group.  `cite` may be a (path, line)."""
    def fill(text, row):
        return re.sub(r'\{(\w+|bounded\|unbounded\|unclear)\}', lambda m: cite(row[m[1].split('|')[0]]), text)

    def cite(value):
        return f'{value[0]}:{value[1]}' if isinstance(value, tuple) else str(value)
    text = SENTENCES[which]
    m = GROUP.search(text)
    if m:
        return fill(text[:m.start()], holes) + ''.join(fill(m[1], {**holes, **row}) for row in places)
    return fill(text, holes)
