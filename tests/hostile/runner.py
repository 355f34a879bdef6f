#!/usr/bin/env python3
"""Builds hostile repositories and runs deepread on each: it must say what it found and stay within its bounds.

    runner.py DEEPREAD [--large] [--only PATTERN] [--keep FOLDER] [--list]

A case is a function (cases_*.py) that builds a folder and returns what is expected of it. Whatever the case, every run must
  - end with one of the documented exit codes, in time and in memory, without a sanitizer's report;
  - when it fails, say so in a sentence on standard error;
  - leave the repository and everything beside it as it was, and run nothing that the repository names;
  - never show, list as text or keep the content of a file outside the repository, and never a drawn secret.
"""
import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import stat
import string
import subprocess
import sys
import tempfile
import threading
import time
import traceback

CANARY = "canary-%s" % hashlib.sha256(b"outside").hexdigest()[:24]
DOCUMENTED = {0, 1, 2, 3, 75}
SANITIZER_EXIT = 99
# git_revparse_single of libgit2 1.5 loses a reference when what it names cannot be read, and its matcher a buffer.
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leaks.supp")
TEXT_CLASSES = {"text", "generated"}


class Case:
    """One hostile repository. Builders fill in what they expect; the rest has defaults."""

    def __init__(self, name, root):
        self.name = name
        self.root = root
        self.path = os.path.join(root, "repo")  # what deepread is pointed at
        self.outside = os.path.join(root, "outside")
        self.marker = os.path.join(self.outside, "ran")  # whatever a repository's commands would create
        self.exits = {0}
        self.classes = {}  # path -> class, or a set of classes; None: not listed
        self.says = []  # strings of which each stands on standard error
        self.shown = {}  # path -> string that the shown text of its first lines holds
        self.secrets = []  # strings that must not be shown or kept anywhere
        self.seconds = 30
        self.megabytes = 900
        self.args = []
        self.during = None  # called again and again while deepread runs
        self.prepare = None  # called just before the runs, after the state was recorded
        self.check = None  # called with the JSON of the pack
        self.random = random.Random(name)

    def command(self):
        return "/bin/sh -c 'echo ran >> %s'" % self.marker

    def draw(self, n, alphabet=string.ascii_letters + string.digits):
        return "".join(self.random.choice(alphabet) for _ in range(n))


CASES = []


def case(long=False):
    def register(build):
        CASES.append((build.__name__, build, "large" if long else "small"))
        return build

    return register


def state_of(folder, depth=0):
    """What a reader must not change: names, kinds, links, sizes and times."""
    rows = []
    try:
        entries = sorted(os.scandir(os.fsencode(folder)), key=lambda e: e.name)
    except OSError:
        return rows
    for entry in entries:
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # deeper than a path may be long
        row = (entry.path, info.st_mode, info.st_size, info.st_mtime_ns)
        rows.append(row + ((os.readlink(entry.path),) if stat.S_ISLNK(info.st_mode) else ()))
        if stat.S_ISDIR(info.st_mode) and depth < 50:
            rows += state_of(entry.path, depth + 1)
    return rows


class Failed(Exception):
    pass


def run(c, program, arguments, stdin=None):
    """(exit code, standard output, standard error) of one bounded run."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.path.join(c.root, "home"),
        "XDG_CACHE_HOME": os.path.join(c.root, "home/cache"),
        "XDG_CONFIG_HOME": os.path.join(c.root, "home/config"),
        "TMPDIR": os.path.join(c.root, "home"),
        "LC_ALL": "C.UTF-8",
        "ASAN_OPTIONS": "exitcode=%d:detect_stack_use_after_return=0:quarantine_size_mb=16" % SANITIZER_EXIT,
        "UBSAN_OPTIONS": "exitcode=%d:print_stacktrace=1" % SANITIZER_EXIT,
        "LSAN_OPTIONS": "exitcode=%d:print_suppressions=0:suppressions=%s" % (SANITIZER_EXIT, SUPPRESSIONS),
    }
    out_path, err_path = (os.path.join(c.root, "home", name) for name in ("stdout", "stderr"))
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            c.during()

    with open(out_path, "wb") as out, open(err_path, "wb") as err:
        process = subprocess.Popen([program] + arguments, stdin=subprocess.PIPE, stdout=out, stderr=err, env=env,
                                   cwd=os.path.join(c.root, "home"), start_new_session=True)
        helper = threading.Thread(target=disturb) if c.during else None
        if helper:
            helper.start()
        timer = threading.Timer(c.seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(stdin or b"")
            process.stdin.close()
        except BrokenPipeError:
            pass
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        timed_out = not timer.is_alive()
        timer.cancel()
        if helper:
            stop.set()
            helper.join()
    with open(out_path, "rb") as f:
        stdout = f.read()
    with open(err_path, "rb") as f:
        stderr = f.read().decode("utf-8", "replace")
    what = " ".join(arguments)[:120]
    if os.WIFSIGNALED(status):
        raise Failed("%s: %s by signal %s\n%s" % (what, "stopped after %d s," % c.seconds if timed_out else "killed",
                                                  signal.Signals(os.WTERMSIG(status)).name, stderr[-3000:]))
    code = os.WEXITSTATUS(status)
    if code == SANITIZER_EXIT or "Sanitizer" in stderr or "runtime error:" in stderr:
        raise Failed("%s: a sanitizer's report\n%s" % (what, stderr[:6000]))
    if code not in DOCUMENTED:
        raise Failed("%s: exit code %d\n%s" % (what, code, stderr[-3000:]))
    if code in (2, 3, 75) and not stderr.startswith("deepread: "):
        raise Failed("%s: exit code %d without a sentence: %r" % (what, code, stderr[-300:]))
    if "\x1b" in stderr or any(ord(x) < 32 and x not in "\n\t" for x in stderr):
        raise Failed("%s: control characters on standard error: %r" % (what, stderr[-300:]))
    if usage.ru_maxrss > c.megabytes * 1024:
        raise Failed("%s: %d MB of memory, more than %d" % (what, usage.ru_maxrss // 1024, c.megabytes))
    return code, stdout, stderr


def is_misleading(path):
    """Would this name lead out of a folder, into .git, or a terminal astray?"""
    parts = path.split("/")
    plain = [p.lower().rstrip(". ").split(":")[0] for p in parts]
    return (path.startswith("/") or any(p in ("", ".", "..") for p in parts) or ".git" in plain or
            any(ord(x) < 32 or ord(x) == 127 for x in path))


def check_pack(c, event):
    listed = {}
    for f in event["files"]:
        path = f["path"]
        listed.setdefault(path, f["class"])
        if f["class"] in TEXT_CLASSES and is_misleading(path):
            raise Failed("a misleading name counts as text: %r" % path)
    for path, want in c.classes.items():
        got = listed.get(path)
        if got not in (want if isinstance(want, set) else {want}):
            raise Failed("%r is %s, not %s" % (path[:200], got, want))
    if c.check:
        c.check(event)


def forbidden(c):
    return [CANARY.encode()] + [s.encode() for s in c.secrets]


def check_nothing_leaked(c, where, data):
    for word in forbidden(c):
        if word in data:
            at = data.index(word)
            raise Failed("%s holds %r: ...%r" % (where, word, data[max(0, at - 120):at + 40]))


def run_case(name, build, program, keep):
    started = time.monotonic()
    root = tempfile.mkdtemp(prefix="hostile-", dir=keep)
    problem = None
    try:
        c = Case(name, root)
        for folder in (c.outside, os.path.join(root, "home/config/git")):
            os.makedirs(folder)
        with open(os.path.join(c.outside, "notes.c"), "w") as f:
            f.write("int %s(void);\n" % CANARY.replace("-", "_") + "/* %s */\n" % CANARY)
        if build(c) == "skip":
            return name, "skipped", 0
        before = None if c.during else state_of(c.outside) + state_of(c.path)
        text = os.path.join(root, "home/pack.txt")
        base = ["-C", c.path] + c.args
        if c.prepare:
            c.prepare()
        code, stdout, stderr = run(c, program, ["pack", "--json", "--mode", "full", "--out", text] + base)
        if code not in c.exits:
            raise Failed("pack ended with %d, not %s: %s" % (code, sorted(c.exits), stderr[-1000:]))
        for word in c.says:
            if word not in stderr:
                raise Failed("%r is not in: %s" % (word, stderr[-1000:]))
        if code == 0:
            check_pack(c, json.loads(stdout))
            check_nothing_leaked(c, "--json", stdout)
            with open(text, "rb") as f:
                check_nothing_leaked(c, "the pack", f.read())
        # The model's tools, with what a repository could talk it into.
        calls = [{"name": "find_symbol", "arguments": {"name": "main"}},
                 {"name": "find_refs", "arguments": {"name": "../outside"}},
                 {"name": "grep", "arguments": {"pattern": "(a|b|ab)*c|" + CANARY[:8]}}]
        for path in list(c.shown) + [p for p in list(c.classes)[:4] if p not in c.shown] + \
                ["../outside/notes.c", os.path.join(c.outside, "notes.c"), ".git/config", "a\nb", "", "x" * 5000]:
            calls.append({"name": "read", "arguments": {"path": path, "line": 1}})
        tool_code, stdout, stderr = run(c, program, ["tool", "--batch"] + base, "".join(json.dumps(x) + "\n" for x in calls).encode())
        check_nothing_leaked(c, "a tool", stdout)
        if tool_code not in c.exits and tool_code != 1:
            raise Failed("tool ended with %d: %s" % (tool_code, stderr[-1000:]))
        if tool_code == 0:
            answers = [json.loads(line) for line in stdout.splitlines()]
            if len(answers) != len(calls):
                raise Failed("%d answers to %d calls" % (len(answers), len(calls)))
            for (path, want), answer in zip(c.shown.items(), answers[3:]):
                if want not in answer["text"]:
                    raise Failed("%s does not show %r but %r" % (path, want, answer["text"][:300]))
        for here, _, files in os.walk(os.path.join(root, "home/cache")):
            for file in files:
                with open(os.path.join(here, file), "rb") as f:
                    check_nothing_leaked(c, "the cache", f.read())
        if os.path.exists(c.marker):
            raise Failed("a command of the repository ran")
        if before is not None and before != state_of(c.outside) + state_of(c.path):
            after = state_of(c.outside) + state_of(c.path)
            changed = [row for row in after if row not in before] + [row for row in before if row not in after]
            raise Failed("changed: %r" % changed[:3])
    except Failed as e:
        problem = str(e)
    except Exception:
        problem = traceback.format_exc()
    finally:
        if keep and problem:
            problem += "\nkept: " + root
        else:
            remove(root)
    return name, problem, time.monotonic() - started


def remove(root):
    """Removes whatever a case built, nested deeper than a path may be long included."""
    subprocess.run(["chmod", "-R", "u+rwx", root], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", root], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(root, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--large", action="store_true", help="only the large ones")
    parser.add_argument("--only", default="*")
    parser.add_argument("--keep", help="a folder for what failing cases built")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=max(1, min(4, len(os.sched_getaffinity(0)))))
    options = parser.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    for module in ("cases_paths", "cases_objects", "cases_settings", "cases_contents", "cases_disk"):
        __import__(module)
    kind = "large" if options.large else "small"
    chosen = [x for x in CASES if fnmatch.fnmatch(x[0], options.only) and x[2] == kind]
    if options.list:
        print("\n".join(x[0] for x in chosen))
        return 0
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    program = os.path.abspath(options.program)
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = [pool.submit(run_case, name, build, program, options.keep) for name, build, _ in chosen]
        for future in work:
            name, problem, seconds = future.result()
            print("%-44s %5.1f s  %s" % (name, seconds, "ok" if problem is None else problem), flush=True)
            failures += problem is not None and problem != "skipped"
    print("%d hostile repositories, %d failed" % (len(chosen), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.modules["runner"] = sys.modules["__main__"]  # the cases register themselves here
    sys.exit(main())
