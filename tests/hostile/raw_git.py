"""Git repositories written byte by byte, so that they can hold what git itself would refuse to write."""
import hashlib
import os
import struct
import zlib

TYPE_NUMBER = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
OFS_DELTA, REF_DELTA = 6, 7
WHO = b"A U Thor <author@example.org> 1700000000 +0000"


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def object_id(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


class Repo:
    """A repository at `path`: bare, or with its .git inside when bare is False."""

    def __init__(self, path, bare=True):
        self.path = path
        self.git = path if bare else os.path.join(path, ".git")
        for folder in ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info"):
            os.makedirs(os.path.join(self.git, folder), exist_ok=True)
        self.file("HEAD", "ref: refs/heads/main\n")
        self.file("config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = %s\n" % str(bare).lower())

    def file(self, name, data):
        write(os.path.join(self.git, name), data)

    def append(self, name, data):
        with open(os.path.join(self.git, name), "ab") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def put_loose(self, name, stored):
        """Stores bytes as they are under an object's name."""
        self.file("objects/%s/%s" % (name[:2], name[2:]), stored)

    def obj(self, kind, data):
        name = object_id(kind, data)
        self.put_loose(name, zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data, 1))
        return name

    def blob(self, data):
        return self.obj("blob", data if isinstance(data, bytes) else data.encode())

    def tree(self, entries, in_order=True):
        """entries: (mode, name, id); sorted as git sorts unless in_order is False."""
        rows = []
        for mode, name, oid in entries:
            name = name if isinstance(name, bytes) else name.encode()
            mode = mode if isinstance(mode, bytes) else mode.encode()
            rows.append((name + (b"/" if mode in (b"40000", b"040000") else b""), mode + b" " + name + b"\0" + bytes.fromhex(oid)))
        if in_order:
            rows.sort()
        return self.obj("tree", b"".join(row for _, row in rows))

    def nested(self, files):
        """A tree of {path: (mode, id)} or {path: content}."""
        here, below = [], {}
        for path, what in files.items():
            first, _, rest = path.partition("/")
            if rest:
                below.setdefault(first, {})[rest] = what
            else:
                mode, oid = what if isinstance(what, tuple) else ("100644", self.blob(what))
                here.append((mode, first, oid))
        for name, inner in below.items():
            here.append(("40000", name, self.nested(inner)))
        return self.tree(here)

    def commit(self, tree, parents=(), message=b"message\n", branch="main"):
        lines = [b"tree " + tree.encode()] + [b"parent " + p.encode() for p in parents]
        lines += [b"author " + WHO, b"committer " + WHO, b"", message]
        name = self.obj("commit", b"\n".join(lines))
        if branch:
            self.file("refs/heads/" + branch, name + "\n")
        return name

    def simple(self, files):
        return self.commit(self.nested(files))

    def pack(self, entries, name="hostile", damage=None, damage_index=None):
        """entries: (type number, id, size in the header, prefix behind it, zlib stream). Offsets go into the index as they are."""
        data = bytearray(b"PACK" + struct.pack(">II", 2, len(entries)))
        rows = []
        for number, oid, size, prefix, stream in entries:
            offset = len(data)
            if callable(prefix):
                prefix = prefix(offset, rows)
            first = (number << 4) | (size & 15)
            size >>= 4
            head = bytearray()
            while size:
                head.append(first | 128)
                first = size & 127
                size >>= 7
            head.append(first)
            data += head + prefix + stream
            rows.append((oid, offset, zlib.crc32(bytes(data[offset:]))))
        data += hashlib.sha1(data).digest()
        if damage:
            data = damage(bytearray(data))
        index = bytearray(b"\377tOc" + struct.pack(">I", 2))
        ordered = sorted(rows)
        for byte in range(256):
            index += struct.pack(">I", sum(1 for row in ordered if int(row[0][:2], 16) <= byte))
        index += b"".join(bytes.fromhex(row[0]) for row in ordered)
        index += b"".join(struct.pack(">I", row[2]) for row in ordered)
        index += b"".join(struct.pack(">I", row[1]) for row in ordered)
        index += bytes(data[-20:])
        index += hashlib.sha1(index).digest()
        if damage_index:
            index = damage_index(bytearray(index))
        self.file("objects/pack/pack-%s.pack" % name, bytes(data))
        self.file("objects/pack/pack-%s.idx" % name, bytes(index))


def whole(kind, data):
    """A pack entry of an undeltified object."""
    return (TYPE_NUMBER[kind], object_id(kind, data), len(data), b"", zlib.compress(data))


def varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def offset_field(distance):
    out = bytearray([distance & 127])
    distance >>= 7
    while distance:
        distance -= 1
        out.insert(0, distance & 127 | 128)
        distance >>= 7
    return bytes(out)


def delta(source_size, target_size, instructions):
    return varint(source_size) + varint(target_size) + instructions


def copy_from(offset, size):
    return bytes([0x80 | 1 | 2 | 4 | 8 | 16 | 32 | 64]) + struct.pack("<I", offset) + struct.pack("<I", size)[:3]


def index_file(entries, version=2, count=None, checksum=True, tail=b""):
    """A .git/index: entries are (path bytes, mode, id hex, flags or None)."""
    data = bytearray(b"DIRC" + struct.pack(">II", version, len(entries) if count is None else count))
    for path, mode, oid, flags in entries:
        row = struct.pack(">10I", 0, 0, 0, 0, 0, 0, mode, 0, 0, 1) + bytes.fromhex(oid)
        row += struct.pack(">H", min(len(path), 0xFFF) if flags is None else flags) + path
        data += row + b"\0" * (8 - len(row) % 8)
    data += tail
    return bytes(data) + (hashlib.sha1(data).digest() if checksum else b"\0" * 20)
