#include "repo/symbols.h"

#include <string.h>

enum { SMELL_BYTES = 65536 };

const char *dr_lang_name(dr_lang lang)
{
    static const char *const names[DR_N_LANGS] = {
        "",     "c",    "c++",  "python", "javascript", "typescript", "tsx",      "go",   "rust", "java",
        "cuda", "c#",   "ruby", "php",    "kotlin",     "swift",      "scala",    "lua",  "bash", "elixir",
        "zig",  "html", "css",  "json",   "yaml",       "toml",       "markdown", "make",
    };
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

typedef struct entry {
    const char *text;
    dr_lang lang;
} entry;

/* DR_LANG_NONE when none is the key. */
static dr_lang look_up(const entry *entries, size_t n, dr_str key)
{
    for (size_t i = 0; i < n; i++)
        if (dr_str_eq(key, dr_str_of(entries[i].text)))
            return entries[i].lang;
    return DR_LANG_NONE;
}

static dr_lang by_ending(dr_str ending)
{
    static const entry endings[] = {
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
        {"cu", DR_LANG_CUDA},
        {"cuh", DR_LANG_CUDA},
        {"cs", DR_LANG_CSHARP},
        {"csx", DR_LANG_CSHARP},
        {"rb", DR_LANG_RUBY},
        {"rake", DR_LANG_RUBY},
        {"ru", DR_LANG_RUBY},
        {"gemspec", DR_LANG_RUBY},
        {"podspec", DR_LANG_RUBY},
        {"php", DR_LANG_PHP},
        {"phtml", DR_LANG_PHP},
        {"kt", DR_LANG_KOTLIN},
        {"kts", DR_LANG_KOTLIN},
        {"swift", DR_LANG_SWIFT},
        {"scala", DR_LANG_SCALA},
        {"sc", DR_LANG_SCALA},
        {"sbt", DR_LANG_SCALA},
        {"lua", DR_LANG_LUA},
        {"rockspec", DR_LANG_LUA},
        {"sh", DR_LANG_BASH},
        {"bash", DR_LANG_BASH},
        {"zsh", DR_LANG_BASH},
        {"ksh", DR_LANG_BASH},
        {"bats", DR_LANG_BASH},
        {"ex", DR_LANG_ELIXIR},
        {"exs", DR_LANG_ELIXIR},
        {"zig", DR_LANG_ZIG},
        {"html", DR_LANG_HTML},
        {"htm", DR_LANG_HTML},
        {"xhtml", DR_LANG_HTML},
        {"css", DR_LANG_CSS},
        {"json", DR_LANG_JSON},
        {"jsonc", DR_LANG_JSON},
        {"webmanifest", DR_LANG_JSON},
        {"yml", DR_LANG_YAML},
        {"yaml", DR_LANG_YAML},
        {"toml", DR_LANG_TOML},
        {"md", DR_LANG_MARKDOWN},
        {"markdown", DR_LANG_MARKDOWN},
        {"mk", DR_LANG_MAKE},
        {"mak", DR_LANG_MAKE},
        {"make", DR_LANG_MAKE},
    };
    return look_up(endings, sizeof endings / sizeof *endings, ending);
}

static dr_lang by_name(dr_str name)
{
    static const entry names[] = {
        {"Makefile", DR_LANG_MAKE},      {"makefile", DR_LANG_MAKE},      {"GNUmakefile", DR_LANG_MAKE},
        {"Makefile.am", DR_LANG_MAKE},   {"Makefile.in", DR_LANG_MAKE},   {"Kbuild", DR_LANG_MAKE},
        {"Rakefile", DR_LANG_RUBY},      {"Gemfile", DR_LANG_RUBY},       {"Guardfile", DR_LANG_RUBY},
        {"Podfile", DR_LANG_RUBY},       {"Vagrantfile", DR_LANG_RUBY},   {"Brewfile", DR_LANG_RUBY},
        {"Capfile", DR_LANG_RUBY},       {"Fastfile", DR_LANG_RUBY},      {"Dangerfile", DR_LANG_RUBY},
        {".irbrc", DR_LANG_RUBY},        {".bashrc", DR_LANG_BASH},       {".bash_profile", DR_LANG_BASH},
        {".bash_aliases", DR_LANG_BASH}, {".bash_login", DR_LANG_BASH},   {".bash_logout", DR_LANG_BASH},
        {".profile", DR_LANG_BASH},      {".zshrc", DR_LANG_BASH},        {".zshenv", DR_LANG_BASH},
        {".zprofile", DR_LANG_BASH},     {".kshrc", DR_LANG_BASH},        {"PKGBUILD", DR_LANG_BASH},
        {"APKBUILD", DR_LANG_BASH},      {".clang-format", DR_LANG_YAML}, {".clang-tidy", DR_LANG_YAML},
        {".clangd", DR_LANG_YAML},       {".eslintrc", DR_LANG_JSON},     {".babelrc", DR_LANG_JSON},
        {"Pipfile", DR_LANG_TOML},
    };
    return look_up(names, sizeof names / sizeof *names, name);
}

/* The program after "#!": "/usr/bin/env -S python3.11 -u" is "python". */
static dr_lang by_first_line(dr_str text)
{
    static const entry programs[] = {
        {"sh", DR_LANG_BASH},         {"bash", DR_LANG_BASH},         {"dash", DR_LANG_BASH},
        {"ash", DR_LANG_BASH},        {"ksh", DR_LANG_BASH},          {"zsh", DR_LANG_BASH},
        {"bats", DR_LANG_BASH},       {"python", DR_LANG_PYTHON},     {"pypy", DR_LANG_PYTHON},
        {"node", DR_LANG_JAVASCRIPT}, {"nodejs", DR_LANG_JAVASCRIPT}, {"deno", DR_LANG_TYPESCRIPT},
        {"bun", DR_LANG_TYPESCRIPT},  {"tsx", DR_LANG_TYPESCRIPT},    {"ts-node", DR_LANG_TYPESCRIPT},
        {"ruby", DR_LANG_RUBY},       {"jruby", DR_LANG_RUBY},        {"php", DR_LANG_PHP},
        {"lua", DR_LANG_LUA},         {"luajit", DR_LANG_LUA},        {"elixir", DR_LANG_ELIXIR},
        {"scala", DR_LANG_SCALA},     {"kotlin", DR_LANG_KOTLIN},     {"swift", DR_LANG_SWIFT},
        {"make", DR_LANG_MAKE},
    };
    size_t i = 2, n = 0;

    if (text.n < 3 || text.s[0] != '#' || text.s[1] != '!')
        return DR_LANG_NONE;
    while (n < text.n && n < 256 && text.s[n] != '\n')
        n++;
    for (int word = 0; word < 8 && i < n; word++) {
        while (i < n && (text.s[i] == ' ' || text.s[i] == '\t'))
            i++;
        size_t begin = i;
        while (i < n && text.s[i] != ' ' && text.s[i] != '\t' && text.s[i] != '\r')
            i++;
        dr_str w = {text.s + begin, i - begin};
        if (w.n == 0)
            break;
        if (word > 0 && (w.s[0] == '-' || memchr(w.s, '=', w.n))) /* of env: an option, or a variable that it sets */
            continue;
        for (size_t k = 0; k < w.n; k++)
            if (w.s[k] == '/')
                begin = (size_t)(w.s - text.s) + k + 1;
        w = (dr_str){text.s + begin, i - begin};
        if (dr_str_eq(w, DR_STR("env")))
            continue;
        while (w.n && ((w.s[w.n - 1] >= '0' && w.s[w.n - 1] <= '9') || w.s[w.n - 1] == '.')) /* the version */
            w.n--;
        return look_up(programs, sizeof programs / sizeof *programs, w);
    }
    return DR_LANG_NONE;
}

static dr_str last_part(dr_str path)
{
    size_t slash = path.n;
    while (slash > 0 && path.s[slash - 1] != '/')
        slash--;
    return (dr_str){path.s + slash, path.n - slash};
}

/* What follows the last dot; a dot in front ends nothing (".bashrc"). n 0: no ending. */
static dr_str ending_of(dr_str name)
{
    size_t dot = name.n;
    while (dot > 1 && name.s[dot - 1] != '.')
        dot--;
    return dot > 1 ? (dr_str){name.s + dot, name.n - dot} : (dr_str){"", 0};
}

bool dr_lang_needs_text(dr_str path)
{
    const dr_str name = last_part(path);
    return name.n > 0 && name.s[0] != '.' && ending_of(name).n == 0 && by_name(name) == DR_LANG_NONE;
}

dr_lang dr_lang_of(dr_str path, dr_str text)
{
    const dr_str name = last_part(path), ending = ending_of(name);
    dr_lang lang = by_name(name);

    if (lang == DR_LANG_NONE && ending.n)
        lang = by_ending(ending);
    if (lang == DR_LANG_C && dr_str_eq(ending, DR_STR("h")) && smells_of_cpp(text))
        lang = DR_LANG_CPP;
    if (lang == DR_LANG_NONE && dr_lang_needs_text(path))
        lang = by_first_line(text);
    return lang;
}
