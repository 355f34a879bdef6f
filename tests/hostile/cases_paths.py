"""Names: what a tree may call its entries. All of it in bare repositories, where no file system stands in the way."""
import os

from raw_git import Repo, write
from runner import Failed, case

CODE = "int main(void) { return 0; }\n"
REFUSED = {"refused", None}


def bare(c):
    c.args = ["--rev", "HEAD"]
    return Repo(c.path)


def entries(c, names, also=()):
    """A tree whose blobs have these names, beside good.c, which must be there and text."""
    r = bare(c)
    blob = r.blob(CODE)
    r.commit(r.tree([("100644", name, blob) for name in names] + [("100644", "good.c", blob)] + list(also)))
    c.classes["good.c"] = "text"
    c.shown["good.c"] = "int main"
    return r


@case()
def names_dot_dot(c):
    entries(c, ["..", "."])
    c.classes.update({"..": REFUSED, ".": REFUSED})


@case()
def names_with_slashes(c):
    entries(c, ["../outside/notes.c", "/etc/passwd", "a//b.c", "a/../b.c", "/"])
    c.classes.update({"../outside/notes.c": REFUSED, "/etc/passwd": REFUSED, "a//b.c": REFUSED, "a/../b.c": REFUSED})


@case()
def names_dot_git(c):
    forms = [".git", ".GIT", ".Git", ".git.", ".git ", ".git...", ".git::$INDEX_ALLOCATION"]
    entries(c, forms)
    c.classes.update({name: REFUSED for name in forms})


@case()
def names_dot_git_hfs(c):
    # Code points that one file system ignores in names.
    entries(c, [".g\u200cit", ".gi\u200dt", "\ufeff.git", ".\u206fgit"])


@case()
def names_dot_git_short(c):
    entries(c, ["git~1", "GIT~1", ".git~1", "gi7eba~1"])


@case()
def names_dot_git_folder(c):
    r = bare(c)
    inner = r.tree([("100644", "config", r.blob("[core]\n"))])
    r.commit(r.tree([("40000", ".git", inner), ("40000", ".GIT", inner), ("100644", "good.c", r.blob(CODE))]))
    c.classes = {"good.c": "text", ".git/config": REFUSED, ".GIT/config": REFUSED}


@case()
def names_folder_dot_dot(c):
    r = bare(c)
    inner = r.tree([("100644", "notes.c", r.blob(CODE))])
    up = r.tree([("40000", "..", inner)])
    r.commit(r.tree([("40000", "..", inner), ("40000", "a", up), ("100644", "good.c", r.blob(CODE))]))
    c.classes = {"good.c": "text", "../notes.c": REFUSED, "a/../notes.c": REFUSED}


@case()
def names_with_control_characters(c):
    entries(c, ["a\nb.c", "\x1b[2J\x1b]0;owned\x07.c", "tab\tname.c", "del\x7f.c", "cr\r.c", "\x01", "c1\u009b31m.c"])


@case()
def names_with_bidi_and_invisible_signs(c):
    entries(c, ["a\u202egpj.c", "\u2066x\u2069.c", "\u200b.c", "a\u200bb.c"])


@case()
def names_not_utf8(c):
    entries(c, [b"\xff\xfe.c", b"\xc0\xaf", b"\xed\xa0\x80.c", b"a\xe2\x28.c", b"\xf5\x80\x80\x80"])


@case()
def names_empty(c):
    # The library gives up such a tree as a whole.
    entries(c, ["", " ", "-", "--help", "-rf"])
    c.shown, c.classes = {}, {"good.c": {"text", None}, "(root)": {"missing", None}}


@case()
def names_with_nul(c):
    r = bare(c)
    blob = r.blob(CODE)
    raw = b"100644 a\0b.c\0" + bytes.fromhex(blob) + b"100644 good.c\0" + bytes.fromhex(blob)
    r.commit(r.obj("tree", raw))
    c.exits = {0, 2}


@case()
def names_long(c):
    names = ["n" * 255, "n" * 256, "n" * 4095, "n" * 4096, "n" * 4097, "n" * 70000]
    entries(c, names)
    c.shown, c.classes = {}, {"good.c": {"text", None}, "(root)": {"missing", None}}


@case()
def names_of_four_thousand_bytes(c):
    names = ["n" * 255, "n" * 256, "n" * 4000, "n" * 4095]
    entries(c, names)
    c.classes["n" * 255] = "text"


@case()
def paths_longer_than_the_system_allows(c):
    r = bare(c)
    tree = r.tree([("100644", "end.c", r.blob(CODE))])
    for _ in range(40):
        tree = r.tree([("40000", "d" * 200, tree)])
    r.commit(r.tree([("40000", "d", tree), ("100644", "good.c", r.blob(CODE))]))
    c.classes["good.c"] = "text"


@case()
def folders_nested_five_thousand_deep(c):
    r = bare(c)
    tree = r.tree([("100644", "end.c", r.blob(CODE))])
    for _ in range(5000):
        tree = r.tree([("40000", "d", tree)])
    r.commit(r.tree([("40000", "d", tree), ("100644", "good.c", r.blob(CODE))]))
    c.exits = {0, 2, 3}


@case()
def names_that_collide_by_case(c):
    entries(c, ["README", "readme", "Readme"], [])
    c.classes["README"] = {"text", "refused"}


@case()
def names_that_collide_by_composition(c):
    entries(c, ["caf\u00e9.c", "cafe\u0301.c", "\u212bngstrom.c", "\u00c5ngstrom.c"])


@case()
def names_twice(c):
    r = bare(c)
    one, two = r.blob("int one;\n"), r.blob("int two;\n")
    folder = r.tree([("100644", "x.c", one)])
    r.commit(r.tree([("100644", "a.c", one), ("100644", "a.c", two), ("40000", "a.c", folder), ("100644", "good.c", one)], False))
    c.classes["good.c"] = "text"
    c.exits = {0, 2}


@case()
def a_folder_and_a_file_of_one_path(c):
    r = bare(c)
    blob = r.blob(CODE)
    r.commit(r.tree([("160000", "sub", "1" * 40), ("40000", "sub", r.tree([("100644", "x.c", blob)])), ("100644", "good.c", blob)], False))
    c.classes["good.c"] = "text"
    c.exits = {0, 2}


@case()
def tree_not_sorted(c):
    r = bare(c)
    blob = r.blob(CODE)
    r.commit(r.tree([("100644", n, blob) for n in ("z.c", "good.c", "a.c", "m.c")], False))
    c.classes = {"good.c": {"text"}, "a.c": {"text"}, "z.c": {"text"}}
    c.exits = {0, 2}


@case()
def modes_wrong(c):
    r = bare(c)
    blob, inner = r.blob(CODE), None
    inner = r.tree([("100644", "x.c", blob)])
    rows = [("0", "m0"), ("100666", "m1"), ("777777", "m2"), ("0100644", "m3"), ("100755", "m4"), ("1", "m5"),
            ("10064499999999999999999999", "m6"), ("", "m7"), ("-100644", "m8"), ("100664", "m9")]
    r.commit(r.tree([(m, n, blob) for m, n in rows] + [("100644", "good.c", blob), ("40000", "dir", inner)]))
    c.exits = {0, 2}


@case()
def modes_of_other_kinds(c):
    """A blob called a folder, a folder called a blob, a commit called either."""
    r = bare(c)
    blob = r.blob(CODE)
    inner = r.tree([("100644", "x.c", blob)])
    other = r.commit(inner, branch=None)
    r.commit(r.tree([("40000", "blob_as_tree", blob), ("100644", "tree_as_blob", inner), ("120000", "tree_as_link", inner),
                     ("100644", "commit_as_blob", other), ("40000", "commit_as_tree", other), ("160000", "blob_as_commit", blob),
                     ("100644", "good.c", blob)]))
    c.classes = {"good.c": "text"}
    c.exits = {0, 2}


@case()
def tree_cut_short(c):
    r = bare(c)
    blob = r.blob(CODE)
    raw = b"100644 a.c\0" + bytes.fromhex(blob) + b"100644 b.c\0" + bytes.fromhex(blob)[:7]
    r.commit(r.obj("tree", raw))
    c.exits = {0, 2}


@case()
def tree_of_rubbish(c):
    r = bare(c)
    r.commit(r.obj("tree", b"\xff" * 5000))
    c.exits = {0, 2}


@case()
def trees_that_multiply(c):
    """Ten folders in each of ten levels, all the same: ten thousand million files in eleven objects."""
    r = bare(c)
    tree = r.tree([("100644", "x%d.c" % i, r.blob(CODE)) for i in range(10)])
    for _ in range(9):
        tree = r.tree([("40000", "d%d" % i, tree) for i in range(10)])
    r.commit(tree)
    c.exits = {2, 3}
    c.says = ["files"]
    c.seconds = 60


@case(long=True)
def folder_of_a_hundred_thousand_files(c):
    r = bare(c)
    blob = r.blob(CODE)
    r.commit(r.tree([("100644", "f%06d.c" % i, blob) for i in range(100000)]))
    c.seconds = 240
    c.megabytes = 3000

    def check(event):
        if event["files_total"] != 100000:
            raise Failed("%d files" % event["files_total"])

    c.check = check


@case()
def folder_of_ten_thousand_files(c):
    r = bare(c)
    blob = r.blob("int x;\n")
    r.commit(r.tree([("100644", "f%06d.c" % i, blob) for i in range(10000)]))
    c.classes = {"f000000.c": "text", "f009999.c": "text"}
    c.seconds = 60


@case()
def links_out_and_in_circles(c):
    r = bare(c)
    links = {"absolute": "/etc/passwd", "up": "../outside/notes.c", "loop": "loop", "a": "b", "b": "a", "here": ".", "empty": "",
             "binary": b"\0\xff\n\x1b[31m", "long": "x" * 100000, "git": ".git/config"}
    r.commit(r.tree([("120000", n, r.blob(t)) for n, t in links.items()] + [("100644", "good.c", r.blob(CODE))]))
    c.classes = {name: {"symlink", "refused", "too_large"} for name in links}
    c.classes["good.c"] = "text"


@case()
def names_of_devices_and_drives(c):
    entries(c, ["CON", "nul.c", "c:\\x.c", "a\\..\\..\\b.c", "\\\\server\\share", "x.c:stream", "trailing. ", "lpt1"])


@case()
def names_that_look_like_options_and_reports(c):
    entries(c, ["good.c:1", "a b c.c", "\"quoted\".c", "$(id).c", "`id`.c", "%s%n.c", "[masked: x].c", "+++ b/x", "@@ -1 +1 @@"])


@case()
def rules_that_are_links_and_folders(c):
    r = bare(c)
    blob = r.blob(CODE)
    folder = r.tree([("100644", "x", blob)])
    r.commit(r.tree([("120000", ".gitattributes", r.blob("../outside/notes.c")), ("40000", ".gitignore", folder),
                     ("160000", ".deepreadignore", "2" * 40), ("120000", ".gitmodules", r.blob("/etc/passwd")), ("100644", "good.c", blob)]))
    c.classes["good.c"] = "text"


@case()
def a_file_instead_of_a_repository(c):
    write(c.path, "not a folder\n")
    c.exits = {2}


@case()
def a_path_that_is_not_there(c):
    c.path = os.path.join(c.root, "no\x1b[31m-such\nfolder")
    c.exits = {2}
