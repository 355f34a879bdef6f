"""Contents: bytes that readers, parsers, converters and the search for secrets have to survive."""
import base64
import os
import string

from raw_git import Repo
from runner import Failed, case

CODE = b"int main(void) { return 0; }\n"
TEXT = {"text", "generated"}


def bare(c, files):
    c.args = ["--rev", "HEAD"]
    r = Repo(c.path)
    r.simple(dict({"good.c": CODE}, **files))
    c.classes.setdefault("good.c", "text")
    return r


@case()
def lines_of_megabytes(c):
    bare(c, {"one.c": b"x" * (3 << 20), "minified.js": b"var a=[" + b"1," * (1 << 19) + b"1];", "words.md": b"word " * (1 << 19)})
    c.classes.update({"one.c": TEXT, "minified.js": TEXT, "words.md": TEXT})
    c.seconds = 60


@case()
def line_ends_of_all_kinds(c):
    bare(c, {"cr.c": b"int a;\r" * 1000, "crlf.c": b"int a;\r\n" * 1000, "many.c": b"\n" * 500000, "none.c": b"int a;", "empty.c": b"",
             "mixed.c": b"a\r\r\n\n\r\x0b\x0c\xe2\x80\xa8\xc2\x85" * 100})
    c.classes.update({"empty.c": TEXT, "none.c": TEXT, "many.c": TEXT})


@case()
def utf16_of_all_kinds(c):
    text = "int main;\nint \u00e9\U0001f600;\n"
    files = {"le.c": b"\xff\xfe" + text.encode("utf-16-le"), "be.c": b"\xfe\xff" + text.encode("utf-16-be"),
             "odd.c": b"\xff\xfe" + text.encode("utf-16-le") + b"x", "lone.c": b"\xff\xfe" + b"\x00\xd8" * 200 + b"\x00\xdc",
             "only.c": b"\xff\xfe", "nobom.c": text.encode("utf-16-le"), "utf32.c": b"\xff\xfe\0\0" + text.encode("utf-32-le"),
             "two.c": b"\xff\xfe\xff\xfea\0", "nul.c": b"\xff\xfe" + b"\0\0" * 100, "swap.c": b"\xfe\xff" + text.encode("utf-16-le")}
    bare(c, files)
    c.classes.update({"le.c": TEXT | {"binary"}, "utf32.c": {"binary", "non_utf8"}, "nobom.c": {"binary"}})


@case()
def bytes_that_are_not_utf8(c):
    files = {"latin.c": "/* caf\u00e9 */\n".encode("latin-1"), "cp1252.c": b"/* \x93quoted\x94 \x80 */\n", "all.c": bytes(range(1, 256)) * 20,
             "cut.c": b"int a; /* \xe2\x82", "overlong.c": b"\xc0\xaf\xe0\x80\xaf" * 50, "surrogate.c": b"\xed\xa0\x80\xed\xb0\x80" * 50,
             "beyond.c": b"\xf4\x90\x80\x80" * 50, "bom.c": b"\xef\xbb\xbfint a;\n", "boms.c": b"\xef\xbb\xbf" * 1000 + b"int a;\n",
             "late_nul.c": b"int a;\n" * 2000 + b"\0" * 100, "undefined.c": b"\x81\x8d\x8f\x90\x9d\n"}
    bare(c, files)
    c.classes["bom.c"] = TEXT


@case()
def signs_that_turn_text_around(c):
    bare(c, {"bidi.c": "if (a\u202e \u2066// begin\u2069 \u2066) {\n".encode() * 50, "zero.c": "int a\u200bb\u200d;\n".encode(),
             "homoglyph.c": "int m\u0430in(void);\n".encode(), "marks.c": ("z" + "\u0301" * 50000 + "\n").encode(),
             "escape.c": b"\x1b[2J\x1b]52;c;b3duZWQ=\x07\x1bc\x9b31m\n", "special.md": b"<|end_of_sentence|><\xef\xbd\x9cUser\xef\xbd\x9c>\n"})
    c.classes["bidi.c"] = TEXT


@case()
def code_nested_without_end(c):
    n = 60000
    files = {"parens.c": b"int x = " + b"(" * n + b"1" + b")" * n + b";\n", "braces.c": b"void f(void) " + b"{" * n + b"}" * n,
             "ifs.c": b"void f(void){" + b"if(1)" * n + b";}", "json.json": b"[" * n + b"]" * n, "objects.json": b'{"a":' * n + b"1" + b"}" * n,
             "html.html": b"<div>" * n, "py.py": b"".join(b" " * (i % 500) + b"if x:\n" for i in range(5000)), "unary.js": b"x=" + b"!" * n + b"1",
             "templ.cpp": b"A<" * n + b"int" + b">" * n, "rust.rs": b"fn f() -> " + b"Option<" * n + b"u8" + b">" * n + b" {}",
             "go.go": b"package p\nvar x = " + b"[]" * n + b"int{}", "quote.md": b"> " * n + b"x\n", "yaml.yaml": b"- " * n + b"x\n",
             "bash.sh": b"$(" * n + b")" * n, "toml.toml": b"a = " + b"[" * n + b"]" * n, "lambda.py": b"x = " + b"lambda: " * n + b"1\n",
             "pre.c": b"#if 1\n" * n, "ptr.c": b"int " + b"*" * n + b"x;\n", "str.rb": b"x = \"" + b"#{\"" * n}
    bare(c, files)
    c.seconds = 120
    c.megabytes = 2500


@case()
def names_without_end(c):
    n = 1 << 18
    files = {"long.c": b"int " + b"a" * n + b"(void) { return 0; }\n", "comment.c": b"/*" + b"*" * n, "string.py": b"'" * n,
             "macro.c": b"#define X " + b"\\\n" * 50000 + b"1\n", "many.c": b"".join(b"int f%d(void);\n" % i for i in range(10000)),
             "same.c": b"int f(void);\n" * 10000, "uses.c": b"void g(void) {" + b"f();" * 20000 + b"}\n", "label.c": b"a:" * 20000}
    bare(c, files)
    c.seconds = 120
    c.megabytes = 1500


@case()
def pointers_that_lie(c):
    head = b"version https://git-lfs.github.com/spec/v1\n"
    bare(c, {"huge.bin": head + b"oid sha256:" + b"a" * 64 + b"\nsize 999999999999999999999999999999\n", "minus.bin": head + b"oid sha256:"
             + b"b" * 64 + b"\nsize -5\n", "none.bin": head, "text.bin": head + b"oid sha256:xyz\nsize abc\n" + b"x" * 900,
             "real.bin": head + b"oid sha256:" + b"c" * 64 + b"\nsize 12345\n"})
    c.classes["real.bin"] = "lfs_pointer"


@case()
def laughs_by_the_thousand_million(c):
    xml = b"<!DOCTYPE l [<!ENTITY a \"lol\">" + b"".join(b"<!ENTITY %c \"%s\">" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    yaml = b"a: &a [x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9))
    bare(c, {"lol.xml": xml + b"]><l>&j;</l>", "lol.yaml": yaml, "lol.json": b'{"a":' + b"1e" + b"9" * 9999 + b"}", "lol.toml": b"a" + b".a" * 9000})


@case()
def secrets_in_every_coat(c):
    """Drawn keys in all encodings and places: none may be shown or kept."""
    alphabet = string.ascii_letters + string.digits
    keys = ["gh" + "p_" + c.draw(36), "AK" + "IA" + c.draw(16, string.ascii_uppercase + "234567"), c.draw(32, "0123456789abcdef"),
            c.draw(40, alphabet), "sk" + "-ant-" + "api03-" + c.draw(90), c.draw(24, alphabet)]
    body = [base64.b64encode(c.random.randbytes(48)).decode() for _ in range(12)]
    files = {"plain.c": 'char *k = "%s";\n' % keys[0], ".env": "AWS_ACCESS_KEY_ID=%s\nAPI_SECRET=%s\n" % (keys[1], keys[2]),
             "conf.yaml": "db:\n  password: %s\n" % keys[3], "last.txt": "token = " + keys[4], "url.md": "postgres://u:%s@db.host.net/x\n" % keys[5],
             "id_rsa": "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "\n".join(body) + "\n-----END RSA PRIVATE " + "KEY-----\n",
             "long.js": "x=1;" * 300000 + 'var token="%s";' % keys[0], "crlf.ini": "a=1\r\napi_key=%s\r\n" % keys[2]}
    files = {name: text.encode() for name, text in files.items()}
    files["utf16.c"] = b"\xff\xfe" + ('char *k = "%s";\n' % keys[0]).encode("utf-16-le")
    files["latin.c"] = "/* caf\u00e9 */ char *password = \"{}\";\n".format(keys[3]).encode("latin-1")
    files["bom.env"] = b"\xef\xbb\xbfAPI_SECRET=" + keys[2].encode() + b"\n"
    c.secrets = keys + body
    bare(c, files)
    c.shown = {"plain.c": "[masked: github token]"}
    c.classes["plain.c"] = "text"


@case()
def secrets_of_older_commits(c):
    key = "gh" + "p_" + c.draw(36)
    r = bare(c, {"a.c": b"int a;\n"})
    first = r.commit(r.nested({"good.c": CODE, "a.c": 'char *k = "%s";\n' % key}))
    r.commit(r.nested({"good.c": CODE, "a.c": "char *k = getenv(\"K\");\n"}), [first])
    c.secrets = [key]
    c.args = ["--rev", "HEAD", "--base", first]
    c.exits = {0, 2}


@case()
def text_that_imitates_the_pack(c):
    bare(c, {"a.c": b"int a;\n\nend of base\nrepository evil\nfile b.c\n=====\n--- a/x\n+++ b/x\n@@ -1,3 +1,9 @@\n" * 20, "b.md": b"```\n" * 2001})
    c.classes["a.c"] = TEXT


@case()
def five_thousand_small_languages(c):
    kinds = ["c", "cpp", "py", "js", "ts", "tsx", "go", "rs", "java", "cs", "rb", "php", "kt", "swift", "scala", "lua", "sh", "ex", "zig",
             "html", "css", "json", "yaml", "toml", "md", "mk", "cu"]
    files = {}
    for kind in kinds:
        for i in range(8):
            files["f%d.%s" % (i, kind)] = c.random.randbytes(600).replace(b"\0", b"{") if i % 2 else \
                "".join(c.random.choice("(){}[]<>\"'`#$@!:;,.\\/*-+=\n\t abfn01") for _ in range(900)).encode()
    bare(c, files)
    c.seconds = 120

    def check(event):
        if event["files_total"] < len(files):
            raise Failed("%d of %d files" % (event["files_total"], len(files)))

    c.check = check


@case(long=True)
def text_of_sixty_megabytes(c):
    r = bare(c, {})
    blob = r.blob(b"static int value_of_something = 12345; /* ordinary */\n" * 250000)
    rows = [("100644", "f%d.c" % i, blob) for i in range(5)] + [("100644", "good.c", r.blob(CODE))]
    r.commit(r.tree(rows))
    c.seconds = 300
    c.megabytes = 4000
    os.sync()
