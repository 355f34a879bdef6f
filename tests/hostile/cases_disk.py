"""The folder on disk: what stands there instead of files, and what changes while it is read."""
import os
import shutil
import socket

from raw_git import Repo, index_file, object_id, write
from runner import case

CODE = "int main(void) { return 0; }\n"


def folder(c, files=None):
    for name, text in (files or {"good.c": CODE}).items():
        write(os.path.join(c.path, name), text)
    c.classes.setdefault("good.c", "text")


def checkout(c, files):
    r = Repo(c.path, bare=False)
    r.simple(files)
    folder(c, files)
    rows = [(n.encode(), 0o100644, object_id("blob", t.encode()), None) for n, t in sorted(files.items())]
    r.file("index", index_file(rows))
    return r


def special_files(c, where):
    os.mkfifo(os.path.join(where, "fifo.c"))
    here = os.getcwd()
    s = socket.socket(socket.AF_UNIX)
    try:
        path = os.path.join(where, "socket.c")
        if len(path) < 100:
            s.bind(path)
    finally:
        s.close()
    assert here == os.getcwd()
    try:
        os.mknod(os.path.join(where, "zero.c"), 0o20666, os.makedev(1, 5))
    except OSError:
        pass  # only root may


@case()
def control_a_folder(c):
    """The control: a folder outside git."""
    folder(c, {"good.c": CODE, "lib/b.c": "int b;\n"})
    c.classes["lib/b.c"] = "text"
    c.shown = {"good.c": "int main"}


@case()
def folder_of_special_files(c):
    folder(c)
    special_files(c, c.path)
    c.classes["fifo.c"] = {None, "refused", "symlink", "missing"}


@case()
def checkout_of_special_files(c):
    checkout(c, {"good.c": CODE, "a.c": "int a;\n", "b.c": "int b;\n"})
    os.unlink(os.path.join(c.path, "a.c"))
    os.mkfifo(os.path.join(c.path, "a.c"))
    os.unlink(os.path.join(c.path, "b.c"))
    os.makedirs(os.path.join(c.path, "b.c/inner"))
    special_files(c, c.path)
    c.exits = {0, 75}


@case()
def links_in_a_folder(c):
    folder(c)
    for name, target in {"out.c": "../outside/notes.c", "dir": "../outside", "loop": "loop", "self": ".", "abs.c": c.outside + "/notes.c",
                         "dangling.c": "nowhere", "proc": "/proc/self", "dev": "/dev"}.items():
        os.symlink(target, os.path.join(c.path, name))
    c.classes.update({"out.c": {"symlink", "refused", None}, "dir/notes.c": None, "abs.c": {"symlink", "refused", None}})


@case()
def file_replaced_by_a_link(c):
    checkout(c, {"good.c": CODE, "notes.c": "int notes;\n"})
    os.unlink(os.path.join(c.path, "notes.c"))
    os.symlink("../outside/notes.c", os.path.join(c.path, "notes.c"))
    c.classes["notes.c"] = {"symlink", "refused", None}


@case()
def folder_replaced_by_a_link(c):
    checkout(c, {"good.c": CODE, "d/notes.c": "int notes;\n"})
    shutil.rmtree(os.path.join(c.path, "d"))
    os.symlink("../outside", os.path.join(c.path, "d"))
    c.classes["d/notes.c"] = {None, "missing", "refused"}


@case()
def root_is_a_link(c):
    os.makedirs(os.path.join(c.root, "real"))
    write(os.path.join(c.root, "real/good.c"), CODE)
    os.symlink("real", c.path)
    c.classes["good.c"] = "text"


@case()
def files_that_cannot_be_read(c):
    if os.geteuid() == 0:
        return "skip"
    folder(c, {"good.c": CODE, "closed.c": "int x;\n", "d/inner.c": "int y;\n"})
    os.chmod(os.path.join(c.path, "closed.c"), 0)
    os.chmod(os.path.join(c.path, "d"), 0)
    c.exits = {0, 2}
    return None


@case()
def file_with_a_hole_of_a_terabyte(c):
    folder(c)
    with open(os.path.join(c.path, "hole.c"), "wb") as f:
        f.truncate(1 << 40)
    c.classes["hole.c"] = "too_large"


@case()
def folders_deeper_than_a_path_may_be(c):
    folder(c)
    here = os.open(c.path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("end.c", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@case()
def folders_two_thousand_deep(c):
    folder(c)
    here = os.open(c.path, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@case()
def names_on_disk(c):
    folder(c)
    for name in (b"a\nb.c", b"\x1b[31m.c", b"\xff\xfe.c", b" ", b"-rf", b"..c", b"...", b"a\\b.c", b"c:x", "a\u202eb.c".encode(), b"n" * 255):
        write(os.path.join(c.path.encode(), name), CODE)
    os.makedirs(os.path.join(c.path, "sub/.GIT"))
    write(os.path.join(c.path, "sub/.GIT/config"), "[core]\n")
    c.classes["sub/.GIT/config"] = {None, "refused"}


@case()
def repositories_inside_a_folder(c):
    folder(c)
    for name in ("one", "two/three"):
        inner = Repo(os.path.join(c.path, name), bare=False)
        inner.simple({"x.c": "int x;\n"})
        write(os.path.join(c.path, name, "x.c"), "int x;\n")
        inner.append("config", "[core]\n\tfsmonitor = %s\n" % c.command())
    c.classes["one/.git/config"] = None


@case()
def rules_on_disk_that_block(c):
    folder(c)
    for name in (".gitignore", ".gitattributes", ".deepreadignore"):
        os.mkfifo(os.path.join(c.path, name))
        os.makedirs(os.path.join(c.path, "d" + name[1:]))
        os.symlink("/dev/zero", os.path.join(c.path, "d" + name[1:], name))
        write(os.path.join(c.path, "d" + name[1:], "x.c"), "int x;\n")


def changing(c, disturb):
    files = {"good.c": CODE}
    files.update({"f%d.c" % i: "int f%d;\n" % i * 200 for i in range(200)})
    checkout(c, files)
    c.classes = {}
    c.exits = {0, 2, 75}
    c.during = disturb


@case()
def files_that_change_while_read(c):
    def disturb():
        with open(os.path.join(c.path, "f%d.c" % c.random.randrange(200)), "w", encoding="utf-8") as f:
            f.write("int changed;\n" * c.random.randrange(2000))

    changing(c, disturb)


@case()
def files_that_vanish_while_read(c):
    def disturb():
        path = os.path.join(c.path, "f%d.c" % c.random.randrange(200))
        try:
            os.unlink(path)
        except OSError:
            write(path, "int back;\n")

    changing(c, disturb)


@case()
def files_that_become_links_while_read(c):
    def disturb():
        path = os.path.join(c.path, "f%d.c" % c.random.randrange(200))
        try:
            os.symlink(os.path.join(c.outside, "notes.c"), path + ".new")
            os.replace(path + ".new", path)
            write(path + ".new", "int back;\n")
            os.replace(path + ".new", path)
        except OSError:
            pass

    changing(c, disturb)


@case()
def folders_that_become_links_while_read(c):
    os.makedirs(os.path.join(c.root, "home/spare"))

    def disturb():
        path = os.path.join(c.path, "d")
        try:
            os.rename(path, os.path.join(c.root, "home/spare/d"))
            os.symlink(c.outside, path)
            os.unlink(path)
            os.rename(os.path.join(c.root, "home/spare/d"), path)
        except OSError:
            pass

    changing(c, disturb)
    write(os.path.join(c.path, "d/notes.c"), "int notes;\n")


@case()
def a_repository_that_is_rewritten_while_read(c):
    def disturb():
        r = Repo.__new__(Repo)
        r.path, r.git = c.path, os.path.join(c.path, ".git")
        r.simple({"good.c": CODE, "n%d.c" % c.random.randrange(1000): "int n;\n"})

    changing(c, disturb)


@case(long=True)
def folder_of_a_hundred_thousand_files_on_disk(c):
    folder(c)
    for i in range(100):
        os.makedirs(os.path.join(c.path, "d%02d" % i))
        for k in range(1000):
            with open(os.path.join(c.path, "d%02d/f%03d.c" % (i, k)), "wb") as f:
                f.write(b"int f%d_%d;\n" % (i, k))
    c.seconds = 300
    c.megabytes = 4000
