#include "repo/classify.h"

#include <string.h>
#include <strings.h>

enum {
    PATH_MAX_BYTES = 4096,
    HEADER_BYTES = 1500, /* where a generator signs */
    LONG_LINE = 32768,
    LONG_AVERAGE = 500, /* bytes a line: code a person wrote stays under 100 */
};

static const struct {
    dr_file_class cls;
    const char *text;
} whys[DR_N_WHYS] = {
    [DR_WHY_NONE] = {DR_FILE_TEXT, NULL},
    [DR_WHY_ATTR_GENERATED] = {DR_FILE_GENERATED, "marked linguist-generated"},
    [DR_WHY_NAME_GENERATED] = {DR_FILE_GENERATED, "named like generated or minified code"},
    [DR_WHY_SAYS_GENERATED] = {DR_FILE_GENERATED, "says it is generated"},
    [DR_WHY_LONG_LINES] = {DR_FILE_GENERATED, "very long lines"},
    [DR_WHY_NON_UTF8] = {DR_FILE_NON_UTF8, "not UTF-8, and in no encoding that is converted"},
    [DR_WHY_NUL] = {DR_FILE_BINARY, "binary"},
    [DR_WHY_UTF16] = {DR_FILE_BINARY, "UTF-16 or UTF-32"},
    [DR_WHY_ATTR_BINARY] = {DR_FILE_BINARY, "marked binary"},
    [DR_WHY_TOO_LARGE] = {DR_FILE_TOO_LARGE, "too large"},
    [DR_WHY_LFS] = {DR_FILE_LFS_POINTER, "a Git LFS pointer"},
    [DR_WHY_SUBMODULE] = {DR_FILE_SUBMODULE, "a submodule"},
    [DR_WHY_SYMLINK] = {DR_FILE_SYMLINK, "a symbolic link"},
    [DR_WHY_MISSING] = {DR_FILE_MISSING, "not in the object database"},
    [DR_WHY_MISSING_FOLDER] = {DR_FILE_MISSING, "a folder that is not in the object database"},
    [DR_WHY_UNREADABLE] = {DR_FILE_MISSING, "cannot be read"},
    [DR_WHY_NAME_CONTROL] = {DR_FILE_REFUSED, "a control character in its name"},
    [DR_WHY_NAME_UTF8] = {DR_FILE_REFUSED, "its name is not UTF-8"},
    [DR_WHY_NAME_DOTS] = {DR_FILE_REFUSED, "its name leads elsewhere"},
    [DR_WHY_NAME_GIT] = {DR_FILE_REFUSED, "a part of its name is .git"},
    [DR_WHY_NAME_LONG] = {DR_FILE_REFUSED, "its name is too long"},
    [DR_WHY_NAME_TWICE] = {DR_FILE_REFUSED, "a second file of the same name"},
    [DR_WHY_DEEPREADIGNORE] = {DR_FILE_IGNORED, "by .deepreadignore"},
    [DR_WHY_EXPORT_IGNORE] = {DR_FILE_IGNORED, "marked export-ignore"},
    [DR_WHY_EXCLUDED] = {DR_FILE_IGNORED, "excluded by option"},
    [DR_WHY_NOT_INCLUDED] = {DR_FILE_IGNORED, "not among the files to include"},
    [DR_WHY_NAME_SECRET] = {DR_FILE_REFUSED, "a secret in its name"},
    [DR_WHY_OWN_PACK] = {DR_FILE_IGNORED, "a pack that this program wrote"},
    [DR_WHY_SUBMODULE_ABSENT] = {DR_FILE_SUBMODULE, "a submodule that is not here"},
    [DR_WHY_SUBMODULE_READ] = {DR_FILE_SUBMODULE, "a submodule, its files are listed"},
    [DR_WHY_SPECIAL] = {DR_FILE_REFUSED, "a device, pipe or socket"},
};

const char *dr_why__text(dr_why why)
{
    return whys[why].text;
}

dr_file_class dr_why__class(dr_why why)
{
    return whys[why].cls;
}

const char *dr_file_class_name(dr_file_class cls)
{
    static const char *const names[DR_N_FILE_CLASSES] = {
        "text",      "generated", "non_utf8", "binary",  "too_large", "lfs_pointer",
        "submodule", "symlink",   "missing",  "refused", "ignored",
    };
    return (unsigned)cls < DR_N_FILE_CLASSES ? names[cls] : "";
}

size_t dr_classify__utf8_next(uint32_t *code, const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    const uint32_t a = p[0];

    if (a < 0x80) {
        *code = a;
        return 1;
    }
    const size_t len = a >= 0xc2 && a < 0xe0 ? 2 : a >= 0xe0 && a < 0xf0 ? 3 : a >= 0xf0 && a < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = a & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    /* overlong forms, surrogates, past the end of Unicode */
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000))
        return 0;
    *code = c;
    return len;
}

bool dr_classify__is_utf8(dr_str text)
{
    size_t i = 0;
    while (i < text.n) {
        uint64_t word;
        while (i + 8 <= text.n && (memcpy(&word, text.s + i, 8), (word & 0x8080808080808080u) == 0))
            i += 8;
        if (i >= text.n)
            break;
        uint32_t code;
        const size_t len = dr_classify__utf8_next(&code, text.s + i, text.n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* Part by part, for a slash may be inside of a key. Only those long enough for one are looked at closely. */
static bool names_secret(dr_str path)
{
    enum { KEY_MIN = 16 };
    bool yes = false;

    for (size_t at = 0; at < path.n && !yes;) {
        const char *slash = memchr(path.s + at, '/', path.n - at);
        const dr_str part = {path.s + at, slash ? (size_t)(slash - path.s) - at : path.n - at};
        dr_secrets found = {0};
        if (part.n >= KEY_MIN)
            yes = dr_secrets_scan(&found, part, NULL, NULL) == DR_OK && found.n;
        dr_secrets_fini(&found);
        at += part.n + 1;
    }
    return yes;
}

dr_why dr_classify__path(dr_str path)
{
    if (path.n == 0 || path.s[0] == '/')
        return DR_WHY_NAME_DOTS;
    if (path.n >= PATH_MAX_BYTES)
        return DR_WHY_NAME_LONG;
    for (size_t i = 0; i < path.n;) {
        uint32_t c;
        const size_t len = dr_classify__utf8_next(&c, path.s + i, path.n - i);
        if (len == 0)
            return DR_WHY_NAME_UTF8;
        /* C0, DEL, C1, and what turns the direction of writing or breaks the line */
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200e && c <= 0x200f) ||
            (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff)
            return DR_WHY_NAME_CONTROL;
        i += len;
    }
    for (size_t i = 0; i <= path.n;) {
        const char *slash = memchr(path.s + i, '/', path.n - i);
        const size_t n = slash ? (size_t)(slash - path.s) - i : path.n - i;
        if (n == 0 || (n == 1 && path.s[i] == '.') || (n == 2 && memcmp(path.s + i, "..", 2) == 0))
            return DR_WHY_NAME_DOTS;
        if (n > 255)
            return DR_WHY_NAME_LONG;
        /* ".git " and ".git::$INDEX_ALLOCATION" are .git to some file systems */
        if (n >= 4 && strncasecmp(path.s + i, ".git", 4) == 0) {
            size_t k = 4;
            while (k < n && (path.s[i + k] == ' ' || path.s[i + k] == '.'))
                k++;
            if (k == n || path.s[i + k] == ':')
                return DR_WHY_NAME_GIT;
        }
        i += n + 1;
    }
    return names_secret(path) ? DR_WHY_NAME_SECRET : DR_WHY_NONE;
}

static bool ends_with(dr_str s, const char *end)
{
    const size_t n = strlen(end);
    return s.n >= n && memcmp(s.s + s.n - n, end, n) == 0;
}

static bool starts_with(dr_str s, const char *start)
{
    const size_t n = strlen(start);
    return s.n >= n && memcmp(s.s, start, n) == 0;
}

static bool named_generated(dr_str path)
{
    static const char *const ends[] = {".min.js",  ".min.css", ".min.mjs", "-min.js", ".bundle.js", ".js.map",
                                       ".css.map", ".pb.go",   ".pb.cc",   ".pb.h",   "_pb2.py",    "_pb2_grpc.py"};
    /* what package managers write down: long lists of versions and digests */
    static const char *const names[] = {
        "Cargo.lock",    "Gemfile.lock", "Package.resolved", "Pipfile.lock", "Podfile.lock",        "bun.lock",
        "composer.lock", "deno.lock",    "flake.lock",       "go.sum",       "gradle.lockfile",     "mix.lock",
        "pdm.lock",      "pixi.lock",    "pnpm-lock.yaml",   "poetry.lock",  "pubspec.lock",        "uv.lock",
        "yarn.lock",     "package-lock.json", "packages.lock.json", "npm-shrinkwrap.json"};
    size_t at = path.n;
    while (at > 0 && path.s[at - 1] != '/')
        at--;
    const dr_str base = {path.s + at, path.n - at};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(base, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (dr_str_eq(base, dr_str_of(names[i])))
            return true;
    return false;
}

static bool has_word(const char *s, size_t n, const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= n; i++)
        if (strncasecmp(s + i, word, len) == 0)
            return true;
    return false;
}

/* A signature in a comment near the top. Only lines that begin like a comment count: code that writes such a line for
 * others is not generated itself. */
bool dr_classify__says_generated(dr_str content)
{
    static const char *const words[] = {"do not edit",    "do not modify", "generated by", "automatically generated",
                                        "auto-generated", "autogenerated", "@generated"};
    const size_t limit = content.n < HEADER_BYTES ? content.n : HEADER_BYTES;
    bool in_block = false;

    for (size_t at = 0; at < limit;) {
        const char *nl = memchr(content.s + at, '\n', limit - at);
        const size_t end = nl ? (size_t)(nl - content.s) : limit;
        const char *line = content.s + at;
        size_t n = end - at;
        while (n > 0 && (*line == ' ' || *line == '\t'))
            line++, n--;
        const dr_str l = {line, n};
        if (starts_with(l, "/*") || starts_with(l, "<!--") || starts_with(l, "\"\"\""))
            in_block = true;
        if (in_block || (n && strchr("#/;%*-.!", *line)))
            for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (has_word(line, n, words[i]))
                    return true;
        if (in_block && (has_word(line, n, "*/") || has_word(line, n, "-->")))
            in_block = false;
        at = end + 1;
    }
    return false;
}

/* s without what it starts with; or *ok becomes false. */
static dr_str after(dr_str s, const char *start, bool *ok)
{
    const size_t n = strlen(start);
    *ok = *ok && starts_with(s, start);
    return *ok ? (dr_str){s.s + n, s.n - n} : s;
}

static dr_str after_run(dr_str s, const char *of, size_t least, size_t most, bool *ok)
{
    size_t n = 0;
    while (n < s.n && s.s[n] && strchr(of, s.s[n]))
        n++;
    *ok = *ok && n >= least && n <= most;
    return *ok ? (dr_str){s.s + n, s.n - n} : s;
}

bool dr_classify__is_pack(dr_str text)
{
    static const char digits[] = "0123456789", hex[] = "0123456789abcdef";
    const char *nl = text.n ? memchr(text.s, '\n', text.n < PATH_MAX_BYTES ? text.n : PATH_MAX_BYTES) : NULL;
    const dr_str line = {text.s, nl ? (size_t)(nl - text.s) : 0};
    bool full = true, changes = true, map = true;
    dr_str s = after(after_run(after(line, "repository of ", &full), digits, 1, 10, &full), " files", &full);

    if (full && s.n)
        s = after_run(after(s, " at ", &full), hex, 12, 12, &full);
    if (full && s.n == 0)
        return true;
    s = after_run(after(line, "changes ", &changes), hex, 12, 12, &changes);
    s = after_run(after(s, " to ", &changes), hex, 12, 12, &changes);
    if (changes && s.n == 0)
        return true;
    s = after(line, "repository ", &map);
    const char *comma = map ? memrchr(s.s, ',', s.n) : NULL; /* the folder's name may hold one */
    if (!comma || comma == s.s)
        return false;
    s = (dr_str){comma, s.n - (size_t)(comma - s.s)};
    s = after(after_run(after(s, ", ", &map), digits, 1, 10, &map), " files", &map);
    return map && s.n == 0;
}

bool dr_classify__has_long_lines(dr_str content)
{
    size_t n_lines = 0;
    for (size_t at = 0; at < content.n; n_lines++) {
        const char *nl = memchr(content.s + at, '\n', content.n - at);
        const size_t end = nl ? (size_t)(nl - content.s) : content.n;
        if (end - at > LONG_LINE)
            return true;
        at = end + 1;
    }
    return content.n > 4 * LONG_AVERAGE && content.n / n_lines > LONG_AVERAGE;
}

dr_why dr_classify__verdict(dr_str path, const dr_attr_set *attr, const dr_blob_facts *facts)
{
    if (facts->kind == DR_CONTENT_LFS)
        return DR_WHY_LFS;
    if (attr->binary == 1)
        return DR_WHY_ATTR_BINARY;
    switch (facts->kind) {
    case DR_CONTENT_NUL: return DR_WHY_NUL;
    case DR_CONTENT_WIDE: return DR_WHY_UTF16;
    case DR_CONTENT_OTHER: return DR_WHY_NON_UTF8;
    default: break;
    }
    if (facts->is_pack && attr->generated != 0)
        return DR_WHY_OWN_PACK;
    if (attr->generated == 1)
        return DR_WHY_ATTR_GENERATED;
    if (attr->generated == 0)
        return DR_WHY_NONE;
    return named_generated(path)   ? DR_WHY_NAME_GENERATED
           : facts->says_generated ? DR_WHY_SAYS_GENERATED
           : facts->long_lines     ? DR_WHY_LONG_LINES
                                   : DR_WHY_NONE;
}
