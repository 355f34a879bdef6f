"""Question wordings: WORDINGS[skill], from wordings/SKILL.txt, is one wording a line.

{x} is the name asked about; {y} another name; {f} a file; {d} a folder; {k} a kind; {v} a value; {s} a line of code; {m} what is
imported; {t} text to look for; {q} a description.  `(a|b)` stands for either.  A third of the lines, chosen by a hash of the line, is never
trained on and only measures (`side`).
"""
import hashlib
import os
import re

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'wordings')


def _read(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as f:
        return f.read()


WORDINGS = {name[:-4].replace('_', ' '): _read(name) for name in sorted(os.listdir(HERE)) if name.endswith('.txt') and name != 'tasks.txt'}

# Declined requests are endless, so many are put together: MANNER + TASK + OBJECT.
MANNERS = ['', '', '', 'please ', 'can you ', 'could you ', 'I want you to ', 'now ', 'how do I ', 'help me to ', 'let us ',
           'you should ', 'try to ', 'would you ', 'I need to ']
TASKS = _read('tasks.txt')
OBJECTS = ['the code', 'this project', 'the tests', 'the build', 'this repository', 'the main loop', 'the parser', 'it', 'everything',
           'the memory management', 'the network layer', 'the README', 'the last commit', 'the configuration', 'the API']

# What may stand around any question: BEFORE + question, or question + AFTER.
BEFORE = ['please ', 'hey, ', 'ok, ', 'quick question: ', 'now ', 'and ', 'so ', 'Hi! ', 'Hello, ', 'next: ', 'one more: ', 'Could you tell me: ',
          'I have a question. ', 'I am new here. ', 'For a review: ', 'While reading the code I wondered: ', 'hm, ', 'good, ', 'thanks. ',
          'right, ', 'then ', 'also, ', 'first, ', 'for the release: ', 'sorry, ', 'ok next, ', 'let me ask: ', 'in this repository: ']
AFTER = ['', ' please', ', please', ' ??', '?', '.', ' Thanks!', ' thanks', ' I need it for a patch.', ' (for a review)', ' asap', ', if you can',
         ' in this repo', '?!', '...', ' Be brief.', ' just the answer', ' now']


def rows(text):
    return [row for row in text.strip().split('\n') if row]


def measures(wording):
    """Is it never trained on?  A third is not, by its hash alone, so that a new wording moves no other to the other side."""
    return int(hashlib.sha256(wording.encode()).hexdigest()[:8], 16) < 2 ** 32 // 3


def side(text, held):
    """The wordings of one side: those that measure, or those that are trained on."""
    return [row for row in rows(text) if measures(row) == held]


def plain(wording):
    return re.sub(r'[^a-z{} ]', '', wording.lower()).strip()
