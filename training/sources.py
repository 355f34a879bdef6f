"""Fetches and unpacks the source packages the model is trained on.

sources.tsv lists them: package, split (train, dev, test, or held: never fetched), language, licence as
debian/copyright states it.  The split of a package hangs on its name alone and was made before anything
was read (`split_of`).  apt runs on private lists and caches below the work folder, so the system's own apt
settings are neither read for sources nor changed.
"""
import csv
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ('bookworm', 'trixie', 'sid', 'forky', 'bullseye')      # tried in this order: a mirror need not hold every version
ALWAYS_TEST = {'redis', 'tmux', 'leveldb', 'jinja2', 'golang-github-gorilla-mux', 'rust-fd-find'}

# What debian/copyright may name for the files that we read (others, of the packaging and of tests, do not count).
PERMISSIVE = re.compile(
    r'^(?:mit|expat|x11|isc|bsd|0bsd|zlib|libpng|apache|unlicense|public-domain|cc0|boost|bsl|ncsa|curl|openssl|psf|python|php|ruby'
    r'|artistic|wtfpl|unicode|blueoak|hpnd|ftl|ijg|tcl|afl|upl|libtiff|permissive|copyright-only|fsf-?ullr?|fsfap|mit-|bsd-)', re.I)
COPYLEFT = re.compile(r'\b(?:a?gpl|lgpl|gfdl|mpl|epl|cddl|cecill|eupl|osl|cc-by|sspl|qpl|cpl)', re.I)


@functools.cache
def table():
    """The rows of sources.tsv as dicts with package, split, language, licence."""
    with open(os.path.join(HERE, 'sources.tsv'), encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def family(package):
    """A key that packages made from one repository share, so that no repository is on two sides."""
    name = re.sub(r'^golang-(?:github-)?', 'go:', package)
    if name.startswith('go:'):
        return re.sub(r'\.v\d+$|-v\d+$', '', name)
    if name.startswith('rust-'):
        return 'rust:' + name[5:].split('-')[0]
    name = re.sub(r'^(?:node|python|php|ruby|lib)-?(?=\w)|\.js$|-js$|-java$', '', name)
    return re.sub(r'[\d.]+$', '', name) or package


def split_of(package):
    """train, dev or test, by a hash of the family's name: about one in eight is for tests, one in seventeen for development."""
    if package in ALWAYS_TEST:
        return 'test'
    at = int(hashlib.sha256(('deepread ' + family(package)).encode()).hexdigest(), 16) % 100
    return 'test' if at < 12 else 'dev' if at < 18 else 'train'


def mirror():
    """The mirror of the machine's own Debian sources, so that none is written down here."""
    for folder, _, names in os.walk('/etc/apt'):
        for name in sorted(names):
            if not name.endswith(('.list', '.sources')):
                continue
            for line in open(os.path.join(folder, name), encoding='utf-8'):
                for word in line.split():
                    if word.startswith('http') and word.rstrip('/').endswith('/debian'):
                        return word
    raise SystemExit('sources: found no Debian mirror in /etc/apt')


def apt_options(work):
    """apt options that point every list, cache and status file into work/apt."""
    base = os.path.join(work, 'apt')
    for sub in ('lists/partial', 'cache/archives/partial', 'parts'):
        os.makedirs(os.path.join(base, sub), exist_ok=True)
    listed = os.path.join(base, 'sources.list')
    with open(listed, 'w', encoding='utf-8') as f:
        for suite in SUITES:
            f.write('deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
                    f'{mirror()} {suite} main\n')
    return ['-o', f'Dir::Etc::SourceList={listed}', '-o', f'Dir::Etc::SourceParts={base}/parts',
            '-o', f'Dir::State::Lists={base}/lists', '-o', f'Dir::Cache={base}/cache',
            '-o', 'APT::Get::List-Cleanup=0', '-o', 'APT::Sandbox::User=root']


def unpack(work, package, options):
    """Downloads one package and leaves its tree at work/src/PACKAGE.  True when it is there."""
    goal = os.path.join(work, 'src', package)
    if os.path.isdir(goal):
        return True
    down = os.path.join(work, 'down', package)
    for suite in SUITES:
        shutil.rmtree(down, ignore_errors=True)
        os.makedirs(down)
        done = subprocess.run(
            ['apt-get', *options, '-t', suite, 'source', '--download-only', '-qq', package],
            cwd=down, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        dsc = [n for n in os.listdir(down) if n.endswith('.dsc')]
        if done.returncode == 0 and dsc:
            break
    else:
        sys.stderr.write(f'sources: {package}: {done.stderr.decode()[-200:]}\n')
        return False
    os.makedirs(os.path.join(work, 'src'), exist_ok=True)
    out = subprocess.run(['dpkg-source', '--no-check', '--skip-patches', '-x', dsc[0], goal],
                         cwd=down, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if out.returncode != 0:
        sys.stderr.write(f'sources: {package}: {out.stderr.decode()[-200:]}\n')
        return False
    shutil.rmtree(os.path.join(goal, '.pc'), ignore_errors=True)    # quilt's copies of the files
    shutil.rmtree(down)
    return True


def licence(folder):
    """What debian/copyright says of the upstream files: the short name of a permissive licence, or None when any part that is not
    packaging, tests or documentation stands under another, or the file says nothing that can be read."""
    try:
        with open(os.path.join(folder, 'debian', 'copyright'), encoding='utf-8', errors='replace') as f:
            text = f.read()
    except OSError:
        return None
    names = []
    for part in re.split(r'\n\s*\n', text):
        files = re.search(r'^Files:\s*((?:.*\n?)(?:[ \t]+.*\n?)*)', part, re.M)
        named = re.search(r'^License:[ \t]*(.*)$', part, re.M)
        if not files or not named:
            continue
        paths = files[1].split()
        if paths and all(re.match(r'(?:debian/|.*(?:test|doc|example|bench|m4|configure|ltmain|install-sh|build-aux|cmake|contrib|LICENSE|COPYING'
                                  r'|Makefile|aclocal|config\.(?:sub|guess)|fuzz|tools?/|\.html|\.md|\.txt|po/|share/|licen[sc]es))', p, re.I) for p in paths):
            continue
        names.append(named[1].strip())
    if not names:
        return None
    for name in names:
        choices = [c.strip() for c in re.split(r'\s+or\s+|\s*\|\s*|/', name) if c.strip()]
        if not any(PERMISSIVE.match(c) and not COPYLEFT.search(c) for c in choices):
            return None
    return re.sub(r'\s+', ' ', names[0])[:60]


def run(work, splits=('train', 'dev', 'test')):
    """Stage `sources`: every package of the splits, those already unpacked skipped."""
    wanted = [row['package'] for row in table() if row['split'] in splits]
    wanted = [p for p in wanted if not os.path.isdir(os.path.join(work, 'src', p))]
    if not wanted:
        return
    options = apt_options(work)
    subprocess.run(['apt-get', *options, 'update', '-qq'], check=True)
    with ThreadPoolExecutor(3) as pool:
        there = list(pool.map(lambda p: unpack(work, p, options), wanted))
    missing = [p for p, ok in zip(wanted, there) if not ok]
    if missing:
        raise SystemExit('sources: not fetched: ' + ' '.join(missing))
