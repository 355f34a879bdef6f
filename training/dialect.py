"""The text around a question: the official chat format with this model's own profile and texts.

Everything the C program renders is rendered here the same way: system text = PACK, blank line,
instructions, blank line, tools block; then turns.  Texts come from models/nano, never from here.
"""
import functools
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
NANO = os.path.join(ROOT, 'models', 'nano')

BOS, EOS, PAD = '<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>', '<｜▁pad▁｜>'
USER, ASSISTANT, THINK, END_THINK, DSML = '<｜User｜>', '<｜Assistant｜>', '<think>', '</think>', '｜DSML｜'
SPECIAL = [BOS, EOS, PAD, USER, ASSISTANT, THINK, END_THINK, DSML, '<｜latest_reminder｜>',
           '<｜action｜>', '<｜query｜>', '<｜authority｜>', '<｜domain｜>', '<｜title｜>', '<｜read_url｜>',
           '<｜fim▁hole｜>', '<｜fim▁begin｜>', '<｜fim▁end｜>']


def read_json(path):
    with open(path, encoding='utf-8') as f:
        return json.load(f)


@functools.cache
def schemas():
    """The four schema lines of docs/tools.md, the frozen roster."""
    with open(os.path.join(ROOT, 'docs', 'tools.md'), encoding='utf-8') as f:
        return re.findall(r'^\{"name": .*\}$', f.read(), re.M)


@functools.cache
def behind_pack(nano=NANO):
    """Instructions and tools block: what follows the map in every conversation."""
    words = read_json(os.path.join(nano, 'dialect.json'))
    return (read_json(os.path.join(nano, 'deepread.json'))['instructions'] + '\n\n'
            + words['tools_head'] + '\n'.join(schemas()) + words['tools_tail'])


def system(pack):
    return (pack + '\n\n' if pack else '') + behind_pack()


def user(text):
    return USER + text + ASSISTANT + END_THINK


def tool_result(text):
    return user('<tool_result>' + text + '</tool_result>')


def call(tool, **arguments):
    rows = [f'<{DSML}parameter name="{k}" string="{"true" if isinstance(v, str) else "false"}">{v}'
            f'</{DSML}parameter>' for k, v in arguments.items()]
    return (f'\n\n<{DSML}tool_calls>\n<{DSML}invoke name="{tool}">\n' + '\n'.join(rows)
            + f'\n</{DSML}invoke>\n</{DSML}tool_calls>' + EOS)


def found(name, path, line):
    return f'`{name}` is defined at {path}:{line}.' + EOS


def used(name, rows):
    return f'`{name}` is used at:' + ''.join(f'\n- {p}:{n} in `{e}`' for p, n, e in rows) + EOS


def no_symbol(name):
    return f'I found no symbol named `{name}`.' + EOS


def no_references(name):
    return f'I found no references to `{name}`.' + EOS


DECLINE = 'I can only say where a name is defined and where it is used.' + EOS
