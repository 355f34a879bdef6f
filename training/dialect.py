"""The text around a question: the official chat format with this model's own profile and texts.

Everything the C program renders is rendered here the same way: system text = PACK, blank line,
instructions, blank line, tools block; then turns.  Texts come from models/nano, never from here.
"""
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


def schemas():
    """The four schema lines of docs/tools.md, the frozen roster."""
    text = open(os.path.join(ROOT, 'docs', 'tools.md'), encoding='utf-8').read()
    return re.findall(r'^\{"name": .*\}$', text, re.M)


def system(pack, nano=NANO):
    profile = json.load(open(os.path.join(nano, 'deepread.json'), encoding='utf-8'))
    words = json.load(open(os.path.join(nano, 'dialect.json'), encoding='utf-8'))
    tools = words['tools_head'] + '\n'.join(schemas()) + words['tools_tail']
    return (pack + '\n\n' if pack else '') + profile['instructions'] + '\n\n' + tools


def answers(nano=NANO):
    return [a['text'] for a in json.load(open(os.path.join(nano, 'deepread.json'), encoding='utf-8'))['answers']]


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
