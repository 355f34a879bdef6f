"""Settings: what a repository may say about itself: HEAD, refs, config, index, attributes, submodules, hooks."""
import os
import struct

from raw_git import Repo, index_file, object_id, write
from runner import CANARY, case

CODE = "int main(void) { return 0; }\n"


def checkout(c, files=None, config="", index=True):
    """A repository with a working tree that agrees with HEAD."""
    files = files or {"good.c": CODE}
    r = Repo(c.path, bare=False)
    r.simple(files)
    for name, text in files.items():
        write(os.path.join(c.path, name), text)
    if config:
        r.append("config", config)
    if index:
        rows = [(n.encode(), 0o100644, object_id("blob", t if isinstance(t, bytes) else t.encode()), None) for n, t in sorted(files.items())]
        r.file("index", index_file(rows))
    c.classes.setdefault("good.c", "text")
    return r


@case()
def control_a_checkout(c):
    """The control: an ordinary repository."""
    checkout(c, {"good.c": CODE, "lib/b.c": "int b;\n"})
    c.classes["lib/b.c"] = "text"
    c.shown = {"good.c": "int main"}


@case()
def head_of_rubbish(c):
    checkout(c).file("HEAD", b"\xff\0rubbish" * 1000)
    c.classes, c.exits = {}, {0, 2}


@case()
def head_empty(c):
    checkout(c).file("HEAD", "")
    c.classes, c.exits = {}, {0, 2}


@case()
def head_leads_out(c):
    r = checkout(c)
    write(os.path.join(c.outside, "ref"), r.simple({"good.c": CODE}) + "\n")
    r.file("HEAD", "ref: refs/heads/../../../../outside/ref\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def head_of_a_megabyte(c):
    checkout(c).file("HEAD", "ref: refs/heads/" + "x" * (1 << 20) + "\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def head_in_a_circle(c):
    r = checkout(c)
    r.file("HEAD", "ref: refs/heads/a\n")
    r.file("refs/heads/a", "ref: refs/heads/b\n")
    r.file("refs/heads/b", "ref: refs/heads/a\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def head_is_a_folder(c):
    r = checkout(c)
    os.unlink(os.path.join(r.git, "HEAD"))
    os.makedirs(os.path.join(r.git, "HEAD"))
    c.classes, c.exits = {}, {0, 2}


@case()
def head_without_commits(c):
    r = checkout(c)
    r.file("HEAD", "ref: refs/heads/other\n")


@case()
def refs_of_rubbish(c):
    r = checkout(c)
    r.file("packed-refs", b"# pack-refs with: peeled fully-peeled sorted\n" + b"zz refs/heads/x\n^\n^^^\n" + b"x" * (1 << 20) + b"\n1111 \n")
    c.classes, c.exits = {}, {0, 2}


@case()
def replaced_commit(c):
    """refs/replace would show another commit under HEAD's name."""
    r = checkout(c)
    head = r.simple({"good.c": CODE})
    other = r.commit(r.nested({"evil.c": "int evil;\n"}), branch=None)
    r.file("refs/replace/" + head, other + "\n")
    c.classes = {"good.c": "text", "evil.c": None}
    c.args = ["--rev", "HEAD"]


@case()
def revisions_as_arguments(c):
    checkout(c)
    c.args = ["--rev", "--upload-pack=" + c.command()]
    c.classes, c.exits = {}, {2}


@case()
def revision_that_backtracks(c):
    checkout(c)
    c.args = ["--rev", "HEAD^{/((((a*)*)*)*)*b}"]
    c.classes, c.exits = {}, {0, 2}


@case()
def revision_that_names_a_file(c):
    checkout(c)
    c.args = ["--rev", "HEAD:good.c"]
    c.classes, c.exits = {}, {2}


@case()
def config_of_rubbish(c):
    checkout(c).file("config", b"[core\n\tbare = \xff\0[[[[]]]]\n=\n" * 100)
    c.classes, c.exits = {}, {0, 2}


@case()
def config_of_a_future_version(c):
    checkout(c).file("config", "[core]\n\trepositoryformatversion = 99\n[extensions]\n\tnoSuchThing = true\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def config_with_other_refs(c):
    checkout(c).file("config", "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def config_that_includes(c):
    r = checkout(c, config="[include]\n\tpath = config\n[include]\n\tpath = ../../outside/fifo\n[includeIf \"gitdir:**\"]\n\tpath = loop\n")
    os.mkfifo(os.path.join(c.outside, "fifo"))
    r.file("loop", "[include]\n\tpath = loop\n")
    c.exits = {0, 2}
    c.classes = {}


@case()
def config_that_moves_the_worktree(c):
    checkout(c, config="[core]\n\tworktree = %s\n" % c.outside)
    c.classes, c.exits = {"notes.c": None}, {0, 2}


@case()
def config_that_moves_the_worktree_up(c):
    checkout(c, config="[core]\n\tworktree = ../../outside\n")
    c.classes, c.exits = {"notes.c": None}, {0, 2}


@case()
def config_that_runs_commands(c):
    run = c.command()
    keys = ["fsmonitor", "editor", "pager", "sshCommand", "askPass", "gitProxy", "hooksPath", "alternateRefsCommand"]
    config = "[core]\n" + "".join("\t%s = \"%s\"\n" % (k, run) for k in keys)
    config += "[filter \"evil\"]\n\tclean = %s\n\tsmudge = %s\n\tprocess = %s\n\trequired = true\n" % (run, run, run)
    config += "[diff \"evil\"]\n\ttextconv = %s\n\tcommand = %s\n[merge \"evil\"]\n\tdriver = %s\n" % (run, run, run)
    config += "[credential]\n\thelper = \"!%s\"\n[uploadpack]\n\tpackObjectsHook = %s\n[gpg]\n\tprogram = %s\n" % (run, run, run)
    r = checkout(c, {"good.c": CODE, ".gitattributes": "* filter=evil diff=evil merge=evil\n"}, config, index=False)
    write(os.path.join(c.path, "new.c"), "int fresh;\n")
    os.utime(os.path.join(c.path, "good.c"), (1, 1))
    for hook in ("fsmonitor-watchman", "post-checkout", "pre-auto-gc", "post-index-change", "reference-transaction", "query-watchman"):
        r.file("hooks/" + hook, "#!/bin/sh\n%s\n" % run)
        os.chmod(os.path.join(r.git, "hooks", hook), 0o755)
    c.classes["new.c"] = {"text", None}


@case()
def config_that_names_files_outside(c):
    write(os.path.join(c.outside, "rules"), "good.c export-ignore binary\n*.c\n")
    checkout(c, config="[core]\n\tattributesFile = %s/rules\n\texcludesFile = %s/rules\n" % (c.outside, c.outside))
    write(os.path.join(c.path, "new.c"), "int fresh;\n")
    c.classes["new.c"] = "text"


@case()
def index_of_rubbish(c):
    checkout(c).file("index", b"DIRC\0\0\0\2\xff\xff\xff\xff" + b"\xee" * 5000)
    c.classes, c.exits = {}, {0, 2}


@case()
def index_cut_off(c):
    r = checkout(c)
    with open(os.path.join(r.git, "index"), "rb") as f:
        data = f.read()
    r.file("index", data[:len(data) // 2])
    c.classes, c.exits = {}, {0, 2}


@case()
def index_with_four_thousand_million_entries(c):
    r = checkout(c)
    r.file("index", index_file([(b"good.c", 0o100644, object_id("blob", CODE.encode()), None)], count=0xFFFFFFFF))
    c.classes, c.exits = {}, {0, 2}


@case()
def index_that_leads_out(c):
    r = checkout(c)
    oid = object_id("blob", CODE.encode())
    rows = [(p, 0o100644, oid, None) for p in (b"../outside/notes.c", b".git/config", b"/etc/passwd", b"a//b", b"good.c", b"x\x1b[31m")]
    r.file("index", index_file(sorted(rows)))
    c.classes, c.exits = {}, {0, 2}


@case()
def index_with_bad_lengths(c):
    r = checkout(c)
    oid = object_id("blob", CODE.encode())
    r.file("index", index_file([(b"good.c", 0o100644, oid, 0xFFF), (b"x", 0o100644, oid, 0x3FFF)], version=3))
    c.classes, c.exits = {}, {0, 2}


@case()
def index_with_lying_extensions(c):
    r = checkout(c)
    oid = object_id("blob", CODE.encode())
    tail = b"TREE" + struct.pack(">I", 0x7FFFFFFF) + b"x" * 50 + b"link" + struct.pack(">I", 20) + b"\x11" * 20
    r.file("index", index_file([(b"good.c", 0o100644, oid, None)], tail=tail))
    c.classes, c.exits = {}, {0, 2}


@case()
def index_of_version_four_with_wrong_prefixes(c):
    r = checkout(c)
    oid = bytes.fromhex(object_id("blob", CODE.encode()))
    rows = b"".join(struct.pack(">10I", *([0] * 6 + [0o100644] + [0] * 3)) + oid + struct.pack(">H", 5) + b"\xff\xff\xff\x7fa.c\0" for _ in range(50))
    r.file("index", index_file([], version=4, count=50, tail=rows))
    c.classes, c.exits = {}, {0, 2}


@case()
def index_with_a_hundred_thousand_entries(c):
    """None of which is in the tree or on disk."""
    r = checkout(c)
    oid = object_id("blob", CODE.encode())
    r.file("index", index_file([(b"f%06d" % i, 0o100644, oid, None) for i in range(30000)]))
    c.seconds = 60


@case()
def git_file_that_leads_to_another_repository(c):
    """As git does, the other repository is read (a linked worktree looks like this), and nothing of it changed."""
    other = Repo(os.path.join(c.root, "outside/other"), bare=False)
    other.simple({"other.c": "int other;\n"})
    write(os.path.join(c.path, "good.c"), CODE)
    write(os.path.join(c.path, ".git"), "gitdir: ../outside/other/.git\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def git_file_of_rubbish(c):
    write(os.path.join(c.path, "good.c"), CODE)
    write(os.path.join(c.path, ".git"), b"gitdir: " + b"\xff" * (1 << 20))
    c.exits = {0, 2}


@case()
def git_file_in_a_circle(c):
    write(os.path.join(c.path, "good.c"), CODE)
    write(os.path.join(c.path, ".git"), "gitdir: .git\n")
    c.exits = {0, 2}


@case()
def git_folder_that_is_a_link(c):
    other = Repo(os.path.join(c.root, "outside/other"), bare=False)
    other.simple({"other.c": "int other;\n"})
    write(os.path.join(c.path, "good.c"), CODE)
    os.symlink("../outside/other/.git", os.path.join(c.path, ".git"))
    c.classes, c.exits = {}, {0, 2}


@case()
def common_folder_that_leads_out(c):
    other = Repo(os.path.join(c.root, "outside/other"), bare=False)
    other.simple({"other.c": "int other;\n"})
    r = checkout(c)
    r.file("commondir", "../../outside/other/.git\n")
    c.classes, c.exits = {}, {0, 2}


@case()
def worktrees_of_rubbish(c):
    r = checkout(c)
    r.file("worktrees/x/gitdir", c.outside + "/.git\n")
    r.file("worktrees/x/HEAD", "ref: refs/heads/main\n")
    r.file("worktrees/x/commondir", "../../../../outside\n")
    r.file("worktrees/\x1b[31m/locked", "x")


@case()
def submodules_that_lead_out(c):
    urls = ["-u./payload", "ext::" + c.command(), "--upload-pack=" + c.command(), "file:///etc", "../../outside"]
    paths = ["../../outside", ".git", ".git/modules/x", "/etc", "sub", "-x", "a\\..\\b"]
    text = "".join("[submodule \"../../x%d\"]\n\tpath = %s\n\turl = %s\n\tupdate = !%s\n" % (i, p, urls[i % len(urls)], c.command())
                   for i, p in enumerate(paths))
    r = Repo(c.path, bare=False)
    rows = [("100644", ".gitmodules", r.blob(text)), ("160000", "sub", "1" * 40), ("160000", "-x", "2" * 40),
            ("100644", "good.c", r.blob(CODE))]
    r.commit(r.tree(rows))
    write(os.path.join(c.path, ".gitmodules"), text)
    write(os.path.join(c.path, "good.c"), CODE)
    c.classes = {"good.c": "text", "sub": {"submodule"}}
    c.args = ["--rev", "HEAD"]


@case()
def submodules_recursed_that_lead_out(c):
    submodules_that_lead_out(c)
    other = Repo(os.path.join(c.root, "outside/other"), bare=False)
    other.simple({"private.c": "/* %s */\n" % CANARY})
    write(os.path.join(c.path, "sub/.git"), "gitdir: ../../outside/other/.git\n")
    c.args = ["--rev", "HEAD", "--submodules"]
    c.classes = {"good.c": "text", "sub/private.c": None}


@case()
def submodule_inside_itself(c):
    r = checkout(c)
    head = r.commit(r.tree([("100644", "good.c", r.blob(CODE)), ("160000", "sub", "0" * 39 + "1"),
                            ("100644", ".gitmodules", r.blob("[submodule \"s\"]\n\tpath = sub\n\turl = ./\n"))]))
    r.commit(r.tree([("100644", "good.c", r.blob(CODE)), ("160000", "sub", head),
                     ("100644", ".gitmodules", r.blob("[submodule \"s\"]\n\tpath = sub\n\turl = ./\n"))]))
    os.makedirs(os.path.join(r.git, "modules"))
    os.symlink("..", os.path.join(r.git, "modules/s"))
    os.symlink(".", os.path.join(c.path, "sub"))
    c.args = ["--rev", "HEAD", "--submodules"]
    c.exits = {0, 2, 3}


@case()
def attributes_that_explode(c):
    star = "*a" * 60 + "b"
    rules = "".join("%s binary\n" % (star[i % 7:]) for i in range(3000))
    rules += "[attr]a b\n[attr]b a\n[attr]binary a -text\n" * 50 + "**/" * 500 + "x a\n" + "[" * 5000 + " a\n" + "x" * 200000 + " a\n"
    files = {"d/%s%d.c" % ("a" * 100, i): CODE for i in range(30)}
    files.update({"good.c": CODE, ".gitattributes": rules})
    checkout(c, files)
    c.classes = {"good.c": {"text", "binary"}}
    c.seconds = 60


@case()
def ignore_rules_that_explode(c):
    rules = "".join("%s\n!%s\n" % ("*a" * 60 + "b", "**/*a*a*a*a*a*a*a*a*a*a*a*c") for _ in range(1000))
    rules += "[[:alpha:]" * 2000 + "\n\\\n!\n/\n//\n**\\\n" + "[a-" + "\n!good.c\n"
    files = {"good.c": CODE, ".gitignore": rules, ".deepreadignore": rules}
    checkout(c, files)
    for i in range(30):
        write(os.path.join(c.path, "new/%s%d.c" % ("a" * 100, i)), CODE)
    c.seconds = 60


@case()
def rules_of_rubbish(c):
    files = {"good.c": CODE, ".gitattributes": b"\xff\xfe\0\1" * 1000 + b"\n*.c \0binary\n", ".gitignore": b"\xff" * 9000 + b"\n\0\n",
             ".deepreadignore": b"\xef\xbb\xbf# bom\n\r\n\r\x1b\n", ".gitmodules": b"[submodule \"\xff\"]\n\tpath\n" * 1000}
    checkout(c, files)
    c.classes["good.c"] = {"text", "ignored", "binary"}


@case()
def rules_of_sixteen_megabytes(c):
    checkout(c, {"good.c": CODE, ".gitattributes": "nothing/here/at/all/*.x binary\n" * 300000})
    c.seconds = 60


@case()
def info_files_that_block(c):
    r = checkout(c)
    for name in ("info/exclude", "info/attributes", "info/grafts", "info/sparse-checkout", "description"):
        os.mkfifo(os.path.join(r.git, name))
    c.exits = {0, 2}
    c.classes = {}


@case()
def object_folder_is_a_fifo(c):
    r = checkout(c)
    os.rename(os.path.join(r.git, "objects"), os.path.join(c.root, "home/objects"))
    os.mkfifo(os.path.join(r.git, "objects"))
    c.classes, c.exits = {}, {0, 2}


@case()
def encodings_that_do_not_exist(c):
    rules = "a.c working-tree-encoding=bogus\nb.c working-tree-encoding=%s\nd.c working-tree-encoding=UTF-16LE//IGNORE\n" % ("X" * 5000)
    rules += "e.c working-tree-encoding=../../x\nf.c working-tree-encoding=UTF-7\ng.c working-tree-encoding=UTF-32\n"
    files = {name: b"int \xff\xfe x\0;\n" for name in ("a.c", "b.c", "d.c", "e.c", "g.c")}
    files.update({"good.c": CODE, ".gitattributes": rules, "f.c": b"+AGE-\n"})
    checkout(c, files)
