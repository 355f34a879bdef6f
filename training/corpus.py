"""The source files of a package: which are read, and their lines."""
import os
import random

LANGUAGES = {
    '.c': 'C', '.h': 'C', '.cc': 'C++', '.cpp': 'C++', '.cxx': 'C++', '.hpp': 'C++', '.hh': 'C++',
    '.py': 'Python', '.js': 'JavaScript', '.mjs': 'JavaScript', '.ts': 'TypeScript', '.go': 'Go',
    '.rs': 'Rust', '.java': 'Java', '.rb': 'Ruby', '.php': 'PHP', '.sh': 'Shell',
}
SKIPPED_FOLDERS = {'debian', '.git', '.pc', 'node_modules', 'vendor', 'third_party', 'deps'}
MAX_FILE_BYTES = 200_000


def paths(root):
    """Paths of the source files below root, by name: the same whatever the file system's order."""
    out = []
    for folder, subs, names in os.walk(root):
        subs[:] = sorted(s for s in subs if s not in SKIPPED_FOLDERS and not os.path.islink(os.path.join(folder, s)))
        for name in sorted(names):
            full = os.path.join(folder, name)
            if os.path.splitext(name)[1] in LANGUAGES and not name.endswith('.min.js') and not os.path.islink(full) \
                    and os.path.getsize(full) <= MAX_FILE_BYTES:
                out.append(os.path.relpath(full, root))
    return out


def read(root, path):
    """The text of a file, or None when it is not UTF-8, holds control characters or lines no one writes, or our markup."""
    try:
        with open(os.path.join(root, path), encoding='utf-8', newline='') as f:
            text = f.read()
    except (OSError, UnicodeDecodeError):
        return None
    if 'DSML' in text or '\0' in text or '\r' in text or max(map(len, text.split('\n'))) > 500:
        return None
    return text


def sample(root, n, rng):
    """Up to n (path, text) of a package, at random."""
    all_ = paths(root)
    rng.shuffle(all_)
    for path in all_:
        text = read(root, path)
        if text and len(text) > 200:
            yield path, text
            n -= 1
            if n <= 0:
                return


def seeded(*key):
    return random.Random('/'.join(map(str, key)))
