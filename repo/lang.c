#include "repo/symbols.h"

#include <string.h>

enum { SMELL_BYTES = 65536 };

const char *dr_lang_name(dr_lang lang)
{
    static const char *const names[DR_N_LANGS] = {"",           "c",   "c++", "python", "javascript",
                                                  "typescript", "tsx", "go",  "rust",   "java"};
    return (unsigned)lang < DR_N_LANGS ? names[lang] : "";
}

static bool has_word_at(const char *s, size_t n, const char *word)
{
    const size_t len = strlen(word);
    return n >= len && memcmp(s, word, len) == 0;
}

/* Does a header hold C++? Only outside what it hides from C itself (#ifdef __cplusplus). */
static bool smells_of_cpp(dr_str text)
{
    static const char *const starts[] = {
        "namespace ", "template <", "template<", "public:",    "private:", "protected:", "using namespace ",
        "using ",     "virtual ",   "explicit ", "constexpr ", "friend ",  "class "};
    const size_t limit = text.n < SMELL_BYTES ? text.n : SMELL_BYTES;
    int depth = 0, hidden = 0; /* of #if; where __cplusplus hides the rest, 0: nowhere */
    bool comment = false;

    for (size_t at = 0; at < limit;) {
        const char *nl = memchr(text.s + at, '\n', limit - at);
        const size_t end = nl ? (size_t)(nl - text.s) : limit;
        const char *line = text.s + at;
        size_t n = end - at;
        at = end + 1;
        while (n && (*line == ' ' || *line == '\t'))
            line++, n--;
        if (comment) {
            comment = memmem(line, n, "*/", 2) == NULL;
            continue;
        }
        if (has_word_at(line, n, "/*")) {
            comment = memmem(line, n, "*/", 2) == NULL;
            continue;
        }
        if (n && *line == '#') {
            do
                line++, n--;
            while (n && (*line == ' ' || *line == '\t'));
            if (has_word_at(line, n, "if")) {
                depth++;
                if (!hidden && memmem(line, n, "__cplusplus", 11))
                    hidden = depth;
            } else if (has_word_at(line, n, "el") && hidden == depth) {
                hidden = 0;
            } else if (has_word_at(line, n, "endif")) {
                if (hidden == depth)
                    hidden = 0;
                depth -= depth > 0;
            }
            continue;
        }
        if (hidden || n == 0 || *line == '*' || *line == '/')
            continue;
        for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
            if (has_word_at(line, n, starts[i]))
                return true;
        if (memmem(line, n, "std::", 5))
            return true;
    }
    return false;
}

dr_lang dr_lang_of(dr_str path, dr_str text)
{
    static const struct {
        const char *ending;
        dr_lang lang;
    } endings[] = {
        {"c", DR_LANG_C},
        {"h", DR_LANG_C},
        {"cc", DR_LANG_CPP},
        {"cpp", DR_LANG_CPP},
        {"cxx", DR_LANG_CPP},
        {"c++", DR_LANG_CPP},
        {"C", DR_LANG_CPP},
        {"hh", DR_LANG_CPP},
        {"hpp", DR_LANG_CPP},
        {"hxx", DR_LANG_CPP},
        {"h++", DR_LANG_CPP},
        {"inl", DR_LANG_CPP},
        {"ipp", DR_LANG_CPP},
        {"tcc", DR_LANG_CPP},
        {"py", DR_LANG_PYTHON},
        {"pyi", DR_LANG_PYTHON},
        {"js", DR_LANG_JAVASCRIPT},
        {"jsx", DR_LANG_JAVASCRIPT},
        {"mjs", DR_LANG_JAVASCRIPT},
        {"cjs", DR_LANG_JAVASCRIPT},
        {"ts", DR_LANG_TYPESCRIPT},
        {"mts", DR_LANG_TYPESCRIPT},
        {"cts", DR_LANG_TYPESCRIPT},
        {"tsx", DR_LANG_TSX},
        {"go", DR_LANG_GO},
        {"rs", DR_LANG_RUST},
        {"java", DR_LANG_JAVA},
    };
    size_t dot = path.n;
    while (dot > 0 && path.s[dot - 1] != '.' && path.s[dot - 1] != '/')
        dot--;
    if (dot == 0 || path.s[dot - 1] != '.')
        return DR_LANG_NONE;
    const dr_str ending = {path.s + dot, path.n - dot};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (dr_str_eq(ending, dr_str_of(endings[i].ending)))
            return dr_str_eq(ending, DR_STR("h")) && smells_of_cpp(text) ? DR_LANG_CPP : endings[i].lang;
    return DR_LANG_NONE;
}
