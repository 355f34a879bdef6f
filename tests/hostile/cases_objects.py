"""Objects: damaged, lying, missing, or enormous once unpacked."""
import hashlib
import os
import subprocess
import zlib

from raw_git import OFS_DELTA, REF_DELTA, WHO, Repo, copy_from, delta, object_id, offset_field, whole
from runner import case

CODE = b"int main(void) { return 0; }\n"
UNREAD = {"missing", "refused", "binary", "too_large"}


def bare(c):
    c.args = ["--rev", "HEAD"]
    return Repo(c.path)


def commit_of(r, files):
    return r.commit(r.tree([("100644", name, oid) for name, oid in files.items()]))


def bomb(r, n):
    """A blob of n letters, about a thousandth of it on disk. n is a multiple of 1 MiB."""
    piece = b"a" * (1 << 20)
    header = b"blob %d\0" % n
    digest, packer, out = hashlib.sha1(header), zlib.compressobj(1), [b""]
    out.append(packer.compress(header))
    for _ in range(n >> 20):
        digest.update(piece)
        out.append(packer.compress(piece))
    out.append(packer.flush())
    name = digest.hexdigest()
    r.put_loose(name, b"".join(out))
    return name


@case()
def blob_that_inflates(c):
    r = bare(c)
    commit_of(r, {"bomb.c": bomb(r, 128 << 20), "good.c": r.blob(CODE)})
    c.classes = {"bomb.c": "too_large", "good.c": "text"}
    c.megabytes = 600


@case(long=True)
def blob_that_inflates_to_a_gigabyte(c):
    r = bare(c)
    commit_of(r, {"bomb.c": bomb(r, 1 << 30), "good.c": r.blob(CODE)})
    c.classes = {"bomb.c": "too_large", "good.c": "text"}
    c.megabytes = 600


@case()
def blob_whose_header_lies(c):
    """Says 10 bytes, holds 64 MiB; and the other way round."""
    r = bare(c)
    more, less = "aa" * 20, "bb" * 20
    r.put_loose(more, zlib.compress(b"blob 10\0" + b"a" * (64 << 20), 9))
    r.put_loose(less, zlib.compress(b"blob 1000000\0short"))
    huge = "cc" * 20
    r.put_loose(huge, zlib.compress(b"blob 18446744073709551615\0x"))
    negative = "dd" * 20
    r.put_loose(negative, zlib.compress(b"blob -5\0hello"))
    commit_of(r, {"more.c": more, "less.c": less, "huge.c": huge, "negative.c": negative, "good.c": r.blob(CODE)})
    c.classes = {"more.c": UNREAD, "less.c": UNREAD, "huge.c": UNREAD, "negative.c": UNREAD, "good.c": "text"}
    c.megabytes = 600


@case()
def blob_under_a_wrong_name(c):
    r = bare(c)
    wrong = "12" * 20
    r.put_loose(wrong, zlib.compress(b"blob 6\0int x;"))
    commit_of(r, {"wrong.c": wrong, "good.c": r.blob(CODE)})
    c.classes = {"wrong.c": UNREAD, "good.c": "text"}


@case()
def loose_objects_damaged(c):
    r = bare(c)
    files = {"good.c": r.blob(CODE)}
    for i in range(24):
        data = b"int f%d(void) { return %d; }\n" % (i, i) * 20
        stored = bytearray(zlib.compress(b"blob %d\0" % len(data) + data))
        name = object_id("blob", data)
        if i % 4 == 0:
            stored = stored[:len(stored) // 2]
        elif i % 4 == 1:
            stored[c.random.randrange(len(stored))] ^= 1 << c.random.randrange(8)
        elif i % 4 == 2:
            stored += b"rubbish" * 10
        else:
            stored = b""
        r.put_loose(name, bytes(stored))
        files["f%d.c" % i] = name
    commit_of(r, files)
    c.classes = {"good.c": "text", "f0.c": UNREAD, "f3.c": UNREAD}


@case()
def loose_object_of_an_unknown_kind(c):
    r = bare(c)
    name = "ab" * 20
    r.put_loose(name, zlib.compress(b"blbo 3\0abc"))
    commit_of(r, {"odd.c": name, "good.c": r.blob(CODE)})
    c.classes = {"odd.c": UNREAD, "good.c": "text"}


@case()
def objects_missing(c):
    r = bare(c)
    r.commit(r.tree([("100644", "gone.c", "1" * 40), ("100644", "good.c", r.blob(CODE))]))
    c.classes = {"gone.c": "missing", "good.c": "text"}


@case()
def folder_missing(c):
    r = bare(c)
    r.commit(r.tree([("40000", "gone", "1" * 40), ("100644", "good.c", r.blob(CODE))]))
    c.exits = {0, 2}


@case()
def commit_missing(c):
    r = bare(c)
    r.file("refs/heads/main", "1" * 40 + "\n")
    c.exits = {2}


@case()
def root_tree_missing(c):
    r = bare(c)
    r.commit("1" * 40)
    c.classes = {"(root)": {"missing"}}
    c.exits = {0, 2}


@case()
def branch_names_a_blob(c):
    r = bare(c)
    r.file("refs/heads/main", r.blob(CODE) + "\n")
    c.exits = {2}


@case()
def commits_of_rubbish(c):
    r = bare(c)
    r.file("refs/heads/main", r.obj("commit", b"tree zzzz\n\n" + b"\xff" * 10000) + "\n")
    c.exits = {2}


@case()
def commit_with_odd_fields(c):
    r = bare(c)
    tree = r.nested({"good.c": CODE})
    parents = b"".join(b"parent %040x\n" % i for i in range(1, 20000))
    text = b"tree " + tree.encode() + b"\n" + parents + b"author \x1b[31m <> -99999999999999999999 +9999\ncommitter  <\n> 1\n" + \
        b"encoding bogus\n\n\x1b[2J\xff" + b"m" * 1000000
    r.file("refs/heads/main", r.obj("commit", text) + "\n")
    c.exits = {0, 2}


@case()
def tags_ten_thousand_deep(c):
    r = bare(c)
    target, kind = r.simple({"good.c": CODE}), b"commit"
    for i in range(3000):
        target = r.obj("tag", b"object " + target.encode() + b"\ntype " + kind + b"\ntag t\ntagger " + WHO + b"\n\nm\n")
        kind = b"tag"
    r.file("refs/tags/deep", target + "\n")
    c.args = ["--rev", "deep"]
    c.exits = {0, 2}


@case()
def histories_that_name_missing_parents(c):
    r = bare(c)
    r.commit(r.nested({"good.c": CODE}), ["3" * 40, "4" * 40])
    c.classes = {"good.c": "text"}


def packed(c, blobs_or_entries, **damage):
    """A pack of the commit, its tree and the blobs; returns what the tree names."""
    r = bare(c)
    entries, files = [], {}
    for name, entry in blobs_or_entries.items():
        if isinstance(entry, bytes):
            entry = whole("blob", entry)
        entries.append(entry)
        files[name] = entry[1]
    rows = sorted(files.items())
    tree = b"".join(b"100644 " + n.encode() + b"\0" + bytes.fromhex(oid) for n, oid in rows if not n.startswith("-"))
    commit = b"tree " + object_id("tree", tree).encode() + b"\nauthor " + WHO + b"\ncommitter " + WHO + b"\n\nm\n"
    entries += [whole("tree", tree), whole("commit", commit)]
    r.pack(entries, **damage)
    r.file("refs/heads/main", object_id("commit", commit) + "\n")
    return r


@case()
def pack_in_order(c):
    """The control: a pack written by these builders is read."""
    packed(c, {"good.c": CODE, "b.c": b"int b;\n"})
    c.classes = {"good.c": "text", "b.c": "text"}
    c.shown = {"good.c": "int main"}


@case()
def pack_with_flipped_bits(c):
    def damage(data):
        for _ in range(12):
            data[c.random.randrange(12, len(data) - 20)] ^= 1 << c.random.randrange(8)
        return data

    packed(c, {"f%d.c" % i: b"int f%d;\n" % i * 50 for i in range(20)}, damage=damage)
    c.exits = {0, 2}


@case()
def pack_cut_off(c):
    packed(c, {"f%d.c" % i: b"int f%d;\n" % i * 50 for i in range(20)}, damage=lambda d: d[:len(d) * 2 // 3])
    c.exits = {0, 2}


@case()
def pack_index_with_wrong_offsets(c):
    def damage(index):
        at = len(index) - 40 - 4 * 22
        for i in range(22):
            index[at + 4 * i:at + 4 * i + 4] = bytes([0x7F, 0xFF, 0xFF, i]) if i % 2 else bytes([0, 0, 0, i])
        return index

    packed(c, {"f%d.c" % i: b"int f%d;\n" % i * 50 for i in range(20)}, damage_index=damage)
    c.exits = {0, 2}


@case()
def pack_index_with_large_offsets(c):
    def damage(index):
        at = len(index) - 40 - 4 * 22
        for i in range(22):
            index[at + 4 * i:at + 4 * i + 4] = bytes([0xFF, 0xFF, 0xFF, i])  # into a table that is not there
        return index

    packed(c, {"f%d.c" % i: b"int f%d;\n" % i * 50 for i in range(20)}, damage_index=damage)
    c.exits = {0, 2}


@case()
def pack_index_whose_counts_fall(c):
    def damage(index):
        for byte in range(256):
            index[8 + 4 * byte:12 + 4 * byte] = (1 << 31).to_bytes(4, "big") if byte % 2 else b"\0\0\0\1"
        return index

    packed(c, {"good.c": CODE}, damage_index=damage)
    c.exits = {0, 2}


@case()
def pack_index_of_rubbish(c):
    packed(c, {"good.c": CODE}, damage_index=lambda i: b"\377tOc" + b"\xee" * 2000)
    c.exits = {0, 2}


def chain(n):
    base = b"int start;\n" * 20
    entries = {"-base": whole("blob", base)}
    previous = base
    for i in range(n):
        data = previous + b"/* %d */\n" % i if len(previous) < 4000 else base
        if data == base:
            previous, data = base, base + b"/* %d */\n" % i
        added = data[len(previous):]
        script = delta(len(previous), len(data), copy_from(0, len(previous)) + bytes([len(added)]) + added)
        source = bytes.fromhex(object_id("blob", previous))
        entries["-%d" % i] = (REF_DELTA, object_id("blob", data), len(script), source, zlib.compress(script))
        previous = data
    entries["last.c"] = entries.pop("-%d" % (n - 1))
    return entries


@case()
def deltas_three_thousand_deep(c):
    entries = chain(3000)
    entries["good.c"] = CODE
    packed(c, entries)
    c.classes = {"good.c": "text", "last.c": UNREAD | {"text"}}


@case()
def deltas_in_a_circle(c):
    script = delta(100, 100, copy_from(0, 100))
    a, b = "a1" * 20, "b2" * 20
    packed(c, {"a.c": (REF_DELTA, a, len(script), bytes.fromhex(b), zlib.compress(script)),
               "b.c": (REF_DELTA, b, len(script), bytes.fromhex(a), zlib.compress(script)),
               "self.c": (REF_DELTA, "c3" * 20, len(script), bytes.fromhex("c3" * 20), zlib.compress(script)), "good.c": CODE})
    c.classes = {"a.c": UNREAD, "b.c": UNREAD, "self.c": UNREAD, "good.c": "text"}


@case()
def deltas_that_point_before_the_pack(c):
    script = delta(100, 100, copy_from(0, 100))
    packed(c, {"a.c": (OFS_DELTA, "a1" * 20, len(script), offset_field(1 << 40), zlib.compress(script)),
               "b.c": (OFS_DELTA, "b2" * 20, len(script), offset_field(0), zlib.compress(script)),
               "c.c": (OFS_DELTA, "c3" * 20, len(script), b"\xff" * 30, zlib.compress(script)), "good.c": CODE})
    c.classes = {"a.c": UNREAD, "b.c": UNREAD, "c.c": UNREAD}


@case()
def delta_that_multiplies(c):
    """A hundred bytes of script that copy one megabyte a thousand times: a gigabyte, said so in its header."""
    base = b"a" * (1 << 20)
    n = 1000
    script = delta(len(base), n * 0xFFFFF, copy_from(0, 0xFFFFF) * n)
    source = bytes.fromhex(object_id("blob", base))
    packed(c, {"-base": base, "bomb.c": (REF_DELTA, "b0" * 20, len(script), source, zlib.compress(script)), "good.c": CODE})
    c.classes = {"bomb.c": UNREAD, "good.c": "text"}
    c.megabytes = 600


@case()
def deltas_whose_sizes_lie(c):
    base = b"int x;\n" * 100
    source = bytes.fromhex(object_id("blob", base))
    scripts = {"more.c": delta(len(base), 10, copy_from(0, len(base)) * 50), "less.c": delta(len(base), 1 << 20, copy_from(0, 10)),
               "past.c": delta(len(base), 1000, copy_from(1 << 20, 1000)), "source.c": delta(1 << 30, 100, copy_from(0, 100)),
               "zero.c": delta(len(base), 10, b"\0" * 10), "cut.c": delta(len(base), 100, b"\x64abc"), "none.c": b"",
               "huge.c": delta(len(base), (1 << 64) - 1, copy_from(0, 100)), "size.c": b"\xff" * 40}
    entries = {name: (REF_DELTA, "%040x" % (i + 1 << 100), len(s), source, zlib.compress(s))
               for i, (name, s) in enumerate(scripts.items())}
    entries["-base"] = base
    entries["good.c"] = CODE
    packed(c, entries)
    c.classes = {name: UNREAD for name in scripts}
    c.classes["good.c"] = "text"
    c.megabytes = 600


@case()
def packed_blob_whose_header_lies(c):
    data = b"a" * (64 << 20)
    packed(c, {"small.c": (3, "a7" * 20, 10, b"", zlib.compress(data, 9)), "large.c": (3, "a8" * 20, 1 << 40, b"", zlib.compress(b"x")),
               "kind.c": (5, "a9" * 20, 10, b"", zlib.compress(b"0123456789")), "good.c": CODE})
    c.classes = {"small.c": UNREAD, "large.c": UNREAD, "kind.c": UNREAD, "good.c": "text"}
    c.megabytes = 600


@case()
def two_thousand_packs(c):
    r = bare(c)
    for i in range(500):
        r.pack([whole("blob", b"int p%d;\n" % i)], name="%040x" % i)
    r.simple({"good.c": CODE})
    c.classes = {"good.c": "text"}


@case()
def indexes_of_everything_are_rubbish(c):
    r = bare(c)
    r.simple({"good.c": CODE})
    for name in ("objects/pack/multi-pack-index", "objects/info/commit-graph", "objects/info/packs", "objects/pack/pack-x.bitmap",
                 "objects/pack/pack-x.rev", "objects/pack/pack-x.idx", "objects/pack/.pack", "objects/pack/pack-.idx"):
        r.file(name, b"MIDX\1\1\xff\xff" * 500)
    c.classes = {"good.c": "text"}
    c.exits = {0, 2}


@case()
def alternates_in_a_circle(c):
    r = bare(c)
    other = Repo(os.path.join(c.root, "outside/other"))
    r.simple({"good.c": CODE})
    r.file("objects/info/alternates", "../../outside/other/objects\n./\n../objects\n" + os.path.join(c.path, "objects") + "\n")
    other.file("objects/info/alternates", os.path.join(c.path, "objects") + "\n../../other/objects\n")
    c.classes = {"good.c": "text"}


@case()
def alternates_to_odd_places(c):
    r = bare(c)
    r.simple({"good.c": CODE})
    os.mkfifo(os.path.join(c.outside, "fifo"))
    r.file("objects/info/alternates", "\n".join([c.outside + "/fifo", c.outside + "/notes.c", "/dev/zero", "/proc/self/fd", "", "#",
                                                 "x" * 9000, "\"quoted", "../" * 3000]) + "\n" + "/nonexistent\n" * 5000)
    c.classes = {"good.c": "text"}
    c.exits = {0, 2}


@case()
def clone_that_is_partial(c):
    r = bare(c)
    r.simple({"good.c": CODE, "lib/gone.c": ("100644", "7" * 40)})
    r.append("config", "[extensions]\n\tpartialClone = origin\n[remote \"origin\"]\n\turl = ext::%s\n\tpromisor = true\n" % c.command())
    r.file("objects/pack/pack-1.promisor", "")
    c.classes = {"good.c": "text", "lib/gone.c": "missing"}
    c.exits = {0, 2}


@case()
def clone_that_is_shallow(c):
    r = bare(c)
    head = r.commit(r.nested({"good.c": CODE}), ["5" * 40])
    r.file("shallow", head + "\n" + "z" * 40 + "\n\n" + "6" * 39 + "\n")
    c.classes = {"good.c": "text"}
    c.exits = {0, 2}


@case()
def names_of_objects_in_sha256(c):
    made = subprocess.run(["git", "init", "-q", "--bare", "--object-format=sha256", c.path], capture_output=True, check=False)
    if made.returncode:
        return "skip"
    c.exits = {2}
    return None
