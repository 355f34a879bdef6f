"""Fetches and unpacks the source packages the model is trained on.

sources.tsv lists them: package, split (train or held), language, licence as debian/copyright states
it.  apt runs on private lists and caches below the work folder, so the system's own apt settings are
neither read for sources nor changed.
"""
import csv
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ('bookworm', 'trixie')      # tried in this order: a mirror need not hold every version


def table():
    """The rows of sources.tsv as dicts with package, split, language, licence."""
    with open(os.path.join(HERE, 'sources.tsv'), encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


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


def unpack(work, package):
    """Downloads one package and leaves its tree at work/src/PACKAGE.  True when it is there."""
    goal = os.path.join(work, 'src', package)
    if os.path.isdir(goal):
        return True
    down = os.path.join(work, 'down', package)
    options = apt_options(work)
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


def run(work):
    """Stage `sources`: every package of the table, those already unpacked skipped."""
    options = apt_options(work)
    subprocess.run(['apt-get', *options, 'update', '-qq'], check=True)
    missing = [row['package'] for row in table() if not unpack(work, row['package'])]
    if missing:
        raise SystemExit('sources: not fetched: ' + ' '.join(missing))
