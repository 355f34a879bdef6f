"""What must hold of the data that the bundled model is trained on: texts as the program writes them, wordings and packages held apart.

Run by hand, `python3 tests/training/test_data.py`; DEEPREAD=PATH names the program for the tests that ask it.
"""
import collections
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from training import data, dialect, dialogues, evaluate, practice, product, questions, reading, sources, tokenizer  # noqa: E402
from training.roles import ASSISTANT, LEARNED, NAME, NONE, PAD, PADDING, PRACTICE, USER  # noqa: E402

BINARY = os.environ.get('DEEPREAD')
SOURCE = '''#include <stdio.h>
#include <string.h>

#define LIMIT 128

/* Doubles a number that is not too large. */
int twice(int x)
{
    return 2 * x;
}

/*
 * Copies a name into the buffer of its owner.
 *
 * Nothing is checked.
 */
static void keep(char *to, const char *name) {
    strcpy(to, name);
}

int run(void)
{
    char to[LIMIT];
    keep(to, "x");
    return twice(1);
}
'''


def folder_of(files):
    folder = tempfile.TemporaryDirectory()
    for path, text in files.items():
        full = os.path.join(folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8', newline='') as f:
            f.write(text)
    return folder


def small_tokenizer(folder):
    return tokenizer.train([*tokenizer.LITERALS] * 50 + [SOURCE] * 50, os.path.join(folder, 'tokenizer.json'))


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.tok = small_tokenizer(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def ids(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def test_names_paths_and_numbers_are_the_same_tokens_everywhere(self):
        rng = random.Random(5)
        around = [('where is ', ' defined?'), ('`', '` is defined at '), ('string="true">', '</'), ('call in ', ': '), ('(', '('), ('\n- ', ''), (' in `', '`'),
                  ('*', ')'), ('rename ', ' to x'), ('/', '.c:'), ('12\t', '('), ('\nsignature: int ', '(')]
        names = [dialogues.invent(rng, ['listen', 'http', 'Server', 'renamed', 'done', 'edited', 'line', 'value']) for _ in range(300)]
        for name in names + ['isDone', 'Done', 'x_renamed', 'doc', 'no', 'Yes', 'value', 'more']:
            for before, after in around:
                text = before + name + after
                self.assertEqual(self.ids(text), self.ids(before) + self.ids(name) + self.ids(after), text)

    def test_texts_may_be_cut_at_a_newline_between_letters(self):
        parts = ['x = 1\n', 'and 3 more', '\n- a']
        self.assertEqual(self.ids(''.join(parts)), [i for p in parts for i in self.ids(p)])
        for literal in tokenizer.LITERALS:                    # a unit of a pack ends with a newline, the next begins with a letter
            for head in ('file ', 'folder ', 'signatures ', 'not shown', 'end of ', 'commit ', 'changed ', 'added '):
                self.assertFalse(literal.startswith('\n' + head[:3]) and literal.startswith('\n' + head.strip()), literal)

    def test_the_frozen_texts_are_few_tokens(self):
        self.assertEqual([x for x in tokenizer.LITERALS if len(self.ids(x)) > 1], [])
        self.assertLess(len(self.ids(dialect.system(''))), 60 + 4 * len(dialect.ROSTER))

    def test_literals_hold_no_digit_and_only_ascii(self):
        for literal in tokenizer.LITERALS:
            self.assertTrue(literal.isascii() and not re.search(r'\d', literal), literal)

    def test_decoding_gives_the_text_back(self):
        text = 'Größe\t\tπ = 3.14;\r\n  if (a && b) { return "ß"; }\n'
        self.assertEqual(self.tok.decode(self.ids(text), skip_special_tokens=False), text)


class Wordings(unittest.TestCase):
    MAIN = ('define', 'uses', 'parameters', 'returns', 'fields', 'value', 'doc', 'file', 'outline', 'imports', 'importers', 'calls', 'constant edit',
            'include edit', 'early return', 'log line', 'risky', 'grep', 'reading')

    def test_a_third_is_never_trained_on(self):
        for skill, text in questions.WORDINGS.items():
            train, held = (list(map(questions.plain, questions.side(text, h))) for h in (False, True))
            self.assertFalse(set(train) & set(held), skill)
            self.assertAlmostEqual(len(held) / len(train + held), 1 / 3, delta=.1)

    def test_no_variant_is_on_both_sides(self):
        def variants(row):
            parts = re.split(r'\(([^(){}]*\|[^(){}]*)\)', row)
            return {questions.plain(''.join(p)) for p in itertools.product(*(p.split('|') if i % 2 else [p] for i, p in enumerate(parts)))}
        for skill, text in questions.WORDINGS.items():
            train, held = (set().union(*map(variants, questions.side(text, h))) for h in (False, True))
            self.assertFalse(train & held, skill)

    def test_there_are_many(self):
        count = {k: len(questions.rows(v)) for k, v in questions.WORDINGS.items()}
        for skill in self.MAIN:
            self.assertGreaterEqual(count[skill], 180, skill)
        self.assertGreaterEqual(count['rename'] + count['rename in file'], 300)
        self.assertGreaterEqual(count['decline'], 500)

    def test_every_wording_can_be_filled_in(self):
        rng, fields = random.Random(1), {k: k.upper() for k in 'xyfdkvwsmtq'}
        for skill, text in questions.WORDINGS.items():
            for row in questions.rows(text):
                self.assertNotIn('{', dialogues.ask(rng, row, **fields), row)


class Packages(unittest.TestCase):
    def test_splits(self):
        rows = sources.table()
        self.assertEqual(len({r['package'] for r in rows}), len(rows))
        count = {s: sum(r['split'] == s for r in rows) for s in ('train', 'dev', 'test', 'held')}
        self.assertGreaterEqual(len(rows), 200)
        self.assertGreaterEqual(count['test'], 20)
        self.assertGreaterEqual(count['dev'], 10)
        self.assertEqual([r['package'] for r in rows if r['split'] == 'held'], ['node-express'])
        self.assertTrue(sources.ALWAYS_TEST <= {r['package'] for r in rows if r['split'] == 'test'})
        self.assertGreaterEqual(len({r['language'] for r in rows}), 6)
        self.assertFalse([r['package'] for r in rows if sources.COPYLEFT.search(r['licence']) and ' or ' not in r['licence'].lower() and ' of ' not in r['licence']])

    def test_no_repository_is_on_two_sides(self):
        side = {}
        for r in sources.table():
            family = sources.family(r['package'])
            self.assertEqual(side.setdefault(family, r['split'] == 'train'), r['split'] == 'train', r['package'])


class Licences(unittest.TestCase):
    def check(self, text):
        with folder_of({'debian/copyright': text}) as folder:
            return sources.licence(folder)

    def test_what_is_permissive(self):
        self.assertEqual(self.check('Files: *\nCopyright: A\nLicense: MIT\n'), 'MIT')
        self.assertTrue(self.check('Files: *\nLicense: GPL-2 or MIT\n'))
        self.assertTrue(self.check('Files: *\nLicense: Expat\n\nFiles: debian/*\nLicense: GPL-2+\n'))

    def test_what_is_not(self):
        self.assertIsNone(self.check('Files: *\nLicense: GPL-2+\n'))
        self.assertIsNone(self.check('Files: *\nLicense: MIT\n\nFiles: src/x.c\nLicense: LGPL-2.1\n'))
        self.assertIsNone(self.check('It was downloaded from somewhere.\n'))


class Sentences(unittest.TestCase):
    def test_they_are_those_of_the_profile(self):
        self.assertEqual(sorted(a['text'] for a in dialect.profile()['answers']), sorted(dialect.SENTENCES.values()))
        self.assertEqual(dialect.profile()['tools'], [row[0] for row in dialect.ROSTER])

    def test_schemas_are_those_of_the_documentation(self):
        with open(os.path.join(dialect.ROOT, 'docs', 'tools.md'), encoding='utf-8') as f:
            text = f.read()
        for line in dialect.schemas():
            self.assertIn('\n' + line + '\n', text)

    def test_groups_repeat_for_every_place(self):
        self.assertEqual(dialect.say('judged', [dict(cite=('a.c', 3), enclosing='f', bounded='unclear')], symbol='strcpy'),
                         '`strcpy` is called at:\n- a.c:3: unclear in `f`')
        self.assertEqual(dialect.say('defined', symbol='a{b}', cite=('x', 1)), '`a{b}` is defined at x:1.')


class Judgements(unittest.TestCase):
    def test_a_call_is_judged_by_one_argument(self):
        for argument, verdict in (('"x"', 'bounded'), ('b', 'unbounded'), ('sizeof(a)', 'bounded'), ('n', 'unbounded'), ('MAX_LEN', 'bounded'), ('Max', 'unbounded'),
                                  ('"%d"', 'bounded'), ('"%s"', 'unbounded'), ('"a %-8.3s"', 'unbounded'), ('strlen(x)', 'unbounded'), ('64', 'bounded'), ('?', 'unclear')):
            self.assertEqual(dialogues.judge(argument), verdict, argument)


class Disguise(unittest.TestCase):
    def test_names_paths_and_lines_change_alike_everywhere(self):
        turn = dialogues.Turn([(dialect.user('where is frobnicate?'), 'ctx'), (dialect.call('find_symbol', name='frobnicate'), 'call'),
                               (dialect.tool_result(dialogues.mark_result('find_symbol', 'zork/a.c:7: function int frobnicate(void)')), 'ctx'),
                               (dialect.say('defined', symbol='frobnicate', cite=('zork/a.c', dialogues.mark(7))) + dialect.EOS, 'ans')])
        changed = 0
        for seed in range(60):
            rng = random.Random(seed)
            made = dialogues.disguise(rng, [turn], ['foo'])[0]
            name = re.search(r'string="true">([^<]+)<', made[1][0])[1]
            path, line = re.search(r'<tool_result>(\S+):(\d+): ', made[2][0]).groups()
            self.assertEqual(made[3][0], f'`{name}` is defined at {path}:{line}.' + dialect.EOS)
            self.assertIn(f'where is {name}?', made[0][0])
            self.assertNotIn(dialogues.OPEN, ''.join(t for t, _ in made))
            changed += name != 'frobnicate'
        self.assertTrue(10 < changed < 50, changed)

    def test_words_of_our_sentences_are_never_swapped(self):
        self.assertTrue({'defined', 'function', 'find_symbol', 'imports', 'calls'} <= dialogues.KEPT)


class Reading(unittest.TestCase):
    def test_functions_and_their_comments(self):
        found = reading.functions('a.c', SOURCE)
        self.assertEqual([(f.name, f.doc) for f in found], [('twice', 'Doubles a number that is not too large.'),
                                                            ('keep', 'Copies a name into the buffer of its owner.')])
        python = 'def aa(x):\n    """Gives back what it was given, twice."""\n    return x, x\n\n\nclass B:\n    @property\n    def c(self):\n        # no docstring\n        return 1\n'
        self.assertEqual([(f.name, f.line, f.first, f.last) for f in reading.functions('a.py', python)], [('aa', 0, 1, 1)])
        go = '// Open opens the file that was named.\nfunc (f *File) Open(name string) error {\n\treturn nil\n}\n'
        self.assertEqual([f.name for f in reading.functions('a.go', go)], ['Open'])
        rust = '/// Counts the words of a text.\n#[inline]\npub fn count(text: &str) -> usize {\n    0\n}\n'
        self.assertEqual([f.name for f in reading.functions('a.rs', rust)], ['count'])
        java = 'class A {\n    /**\n     * Closes the stream and forgets it.\n     * @param x nothing\n     */\n    @Override\n    public void close(int x) {\n    }\n}\n'
        self.assertEqual([(f.name, f.doc) for f in reading.functions('A.java', java)], [('close', 'Closes the stream and forgets it.')])

    def test_what_a_sentence_does_not_tell_apart_is_not_asked(self):
        made = [reading.Function(n, d, 0, 0, 0) for n, d in (('open', 'open reads the named file.'), ('openf', 'openf reads the named file.'),
                                                             ('close', 'Closes what was open.'), ('x', 'Counts all the words.'), ('x', 'Counts some words.'))]
        self.assertEqual([f.name for f in made if id(f) in reading.told_apart(made)], ['close'])

    def test_a_comment_that_is_taken_out_moves_the_lines(self):
        found = reading.functions('a.c', SOURCE)
        piece = reading.Piece('a.c', SOURCE.split('\n'), found, found)
        self.assertNotIn('Doubles', piece.text)
        for f, line in piece.functions:
            self.assertIn(f.name + '(', piece.lines[line - 1])

    def test_places_of_functions_in_a_pack(self):
        python = 'import os\n\ndef first(a,\n          b):\n    return a\n\n\nclass B:\n    def second(self):\n        if self:\n            return 1\n\n    x = 2\n'
        ruby = 'def third(a)\n  a\nend\n\nFOUR = 4\n'
        text = dialect.system(reading.pack([reading.Piece(p, t.split('\n'), [], []) for p, t in (('a.c', SOURCE), ('b.py', python), ('c.rb', ruby))]))
        found = {name: (path, text[at:at + len(name)], text[first:end]) for path, name, at, first, end in reading.places(text)}
        self.assertLessEqual({'twice', 'keep', 'first', 'second', 'third'}, set(found))
        for name, (_, named, body) in found.items():
            self.assertEqual(named, name)
            self.assertIn(name, body.split('\n')[0])
        self.assertEqual(found['first'][2], 'def first(a,\n          b):\n    return a\n\n\n')
        self.assertTrue(found['second'][2].endswith('return 1\n\n'))
        self.assertEqual(found['third'], ('c.rb', 'third', 'def third(a)\n  a\nend\n'))
        self.assertTrue(found['twice'][2].endswith('}\n'))

    def test_questions_and_answers_aim_at_their_function(self):
        with tempfile.TemporaryDirectory() as folder:
            tok = small_tokenizer(folder)
            head = dialect.BOS + dialect.system(reading.pack([reading.Piece('a.c', SOURCE.split('\n'), [], [])]))
            turn = reading.About([(dialect.user('what doubles a number?'), 'ctx'), ('That is `twice', 'ans'), ('` at ', 'ans'), ('a.c', 'ans'), (':3', 'none'),
                                  ('.' + dialect.EOS, 'ans')], ('a.c', 'twice'))
            defined = [(path, name) for path, name, *_ in reading.places(head)]
            for bare in (False, True):
                ids, roles, span, aim = reading.Reader.columns(tok, dialect.BOS if bare else head, defined, [turn], 4096)
                self.assertEqual({len(roles), len(span), len(aim)}, {len(ids)})
                self.assertIn(reading.FUNCTIONS + ' '.join(name for _, name in defined), tok.decode(ids, skip_special_tokens=False))
                looks = [i for i, n in enumerate(aim) if n]
                said = looks.index(ids.index(ASSISTANT) + 1)            # what is learned stands behind the place that says it
                for part, back in ((looks[:said], 0), (looks[said:], 1)):
                    self.assertEqual(part, list(range(part[0], part[-1] + 1)))
                    self.assertEqual(tok.decode(ids[part[0] + back:part[-1] + back + 1]), 'That is `twice' if back else 'what doubles a number?')
                own = [i for i, n in enumerate(span) if n % NAME == aim[looks[0]]]
                if not bare:
                    self.assertTrue(tok.decode([ids[i] for i in own]).lstrip().startswith('int twice('))
                # at the definition, and once more in the list
                self.assertEqual(tok.decode([ids[i] for i in own if span[i] > NAME]).split(), ['twice'] if bare else ['twicetwice'])

    @unittest.skipUnless(BINARY, 'DEEPREAD is not set')
    def test_packs_are_laid_out_as_the_program_does(self):
        files = {'src/a.c': SOURCE, 'b.py': 'x = 1', 'src/deep/c.h': '', 'src/z.c': '\nint a;\n'}
        with folder_of(files) as folder:
            out = os.path.join(folder + '.pack')
            subprocess.run([BINARY, '-C', folder, '--model', dialect.NANO, 'pack', '--mode', 'full', '--budget', '0', '--out', out], check=True, capture_output=True)
            with open(out, encoding='utf-8') as f:
                text = f.read()
            os.unlink(out)
        self.assertEqual(reading.pack([reading.Piece(p, t.split('\n'), [], []) for p, t in files.items()]), text)


class Practice(unittest.TestCase):
    def test_a_bag_asks_for_the_name_that_its_words_say_most_of(self):
        for seed in range(20):
            rng = random.Random(seed)
            ids, roles, span, aim = practice.bags(rng, list(range(30, 900)), [18, 19, USER, ASSISTANT], 512, (4, 24), (1, 4), seed % 2 > 0)
            self.assertEqual({len(roles), len(span), len(aim)}, {len(ids)})
            names = {n: [t for t, s in zip(ids, span) if s == n + NAME] for n in set(span) if 0 < n < NAME}
            among = collections.Counter(t for name in names.values() for t in name)
            asked = [i for i, t in enumerate(ids) if t == USER]
            self.assertTrue(asked)
            for i in asked:
                j = ids.index(ASSISTANT, i)
                votes = {n: sum(1 / among[t] for t in ids[i + 1:j] if t in name) for n, name in names.items()}
                number = max(votes, key=votes.get)
                self.assertEqual(ids[j + 1:j + 1 + len(names[number])], names[number])
                self.assertEqual(set(aim[i + 1:j + len(names[number])]), {number})
                self.assertEqual(roles[j + 1:j + 1 + len(names[number])], [PRACTICE] * len(names[number]))


@unittest.skipUnless(BINARY, 'DEEPREAD is not set')
class Turns(unittest.TestCase):
    """Every turn about a small package is one the program itself would come to."""

    @classmethod
    def setUpClass(cls):
        files = {f'src/part{i}.c': SOURCE.replace('twice', f'twice{i}').replace('keep', f'keep{i}').replace('run', f'run{i}').replace('LIMIT', f'LIMIT{i}')
                 + f'struct pair{i} {{ int a; char *b; }};\n#include "part.h"\n' for i in range(8)}
        files['src/part.h'] = 'int twice0(int x);\n'
        cls.folder = folder_of(files)
        cls.package = product.Package('small', BINARY, cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_skill_makes_turns(self):
        teller = dialogues.Teller(self.package, random.Random(2), False, ['foo', 'bar'])
        for skill in dialogues.Teller.SKILLS:
            made = [evaluate.make_turn(teller, skill) if skill in evaluate.ASK else getattr(teller, skill)() for _ in range(60)]
            self.assertTrue(any(made) or skill in ('outline',), skill)

    def test_edits_are_those_the_tools_accept(self):
        teller = dialogues.Teller(self.package, random.Random(3), False, ['foo', 'bar'])
        calls = []
        for skill in evaluate.EDIT:
            for _ in range(20):
                turn = evaluate.make_turn(teller, skill)
                if turn:
                    calls.append(evaluate.last_call(turn))
        replies = product.batch(BINARY, self.folder.name, calls)
        self.assertTrue(calls)
        for call, reply in zip(calls, replies):
            self.assertIn('diff', reply, (call, reply['text']))

    def test_reminders_are_those_of_the_program(self):
        rng, own = random.Random(6), self.package.known
        words = ['twice0', 'TWICE3', 'keep', 'part1.c', 'PART1.c', 'src/part.h', 'src/', './src/part2.c', 'part', 'LIMIT1', 'pair4.a', 'x', 'to', 'NAME', 'a::b',
                 'Größe', '--', './', '`keep3`', '"run1()"', 'part0.c:3', 'srcs', 'nowhere.c', 'where', 'is', 'name', 'part1.twice1', 'src::keep2', 'pair3->b', 'part2.run2.x', 'src.run4#',
                 'Pair.twice3', 'part0::LIMIT0', 'a.twice1']
        texts = ['', *words] + [rng.choice(' ,?').join(rng.choices(words, k=rng.randint(1, 20))) for _ in range(400)]
        for text, reply in zip(texts[1:], product.batch(BINARY, self.folder.name, [('known', {'text': t}) for t in texts[1:]])):
            self.assertEqual(own.of(text), reply['text'], text)

    def test_questions_come_behind_a_reminder_but_where_files_are_read(self):
        teller = dialogues.Teller(self.package, random.Random(2), False, ['foo', 'bar'])
        for full in (False, True):
            teller.full = full
            turns = [t for skill in ('define', 'calls', 'include', 'start', 'decline') for t in [getattr(teller, skill)() for _ in range(5)] if t]
            self.assertTrue(turns)
            for turn in turns:
                question = evaluate.question_of(turn)
                self.assertEqual(turn[0][0], dialect.user(question) if full else dialect.REMINDER + self.package.known.of(question) + dialect.user(question))

    def test_a_row_begins_its_dialogues_at_borders(self):
        with tempfile.TemporaryDirectory() as folder:
            tok, rng = small_tokenizer(folder), random.Random(4)
            teller = dialogues.Teller(self.package, rng, False, ['foo'])
            for _ in range(10):
                ids, roles, segment, span, aim = data.make_row(tok, rng, [teller], [1], [], [], ['foo'], 1024, {**data.DEFAULTS, 'whole': 0.})
                self.assertEqual({len(column) for column in (ids, roles, segment, span, aim)}, {1025})
                for i, number in enumerate(segment):
                    if number != PADDING and (i == 0 or segment[i - 1] != number):
                        self.assertEqual((i % data.ALIGN, ids[i]), (0, 0))
                    if number == PADDING:
                        self.assertEqual((ids[i], roles[i]), (PAD, NONE))
                self.assertIn(LEARNED, roles)


if __name__ == '__main__':
    unittest.main()
