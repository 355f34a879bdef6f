#!/bin/sh
# test_prefix.sh BUILD_FOLDER VERSION: what `cmake --install` puts into an empty prefix works there, with nothing else of this
# tree and no settings of the caller's, also after the prefix has been moved.
set -u
prefix=$(mktemp -d) || exit 2
trap 'rm -rf "$prefix"' EXIT
failures=0
fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}
alone() { (cd / && env -i PATH=/usr/bin:/bin HOME="$prefix/home" "$@"); }

cmake --install "$1" --prefix "$prefix/first" >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
mv "$prefix/first" "$prefix/moved"
mkdir "$prefix/home"
deepread=$prefix/moved/bin/deepread

version=$(alone "$deepread" --version) || fail "--version exits with $?"
case $version in *"$2"*) ;; *) fail "--version says '$version', not $2" ;; esac
alone "$deepread" --help >/dev/null || fail "--help exits with $?"
bash -n "$prefix/moved/share/bash-completion/completions/deepread" || fail "the completion is no shell script"
[ -s "$prefix/moved/share/man/man1/deepread.1" ] || fail "no man page"
[ -s "$prefix/moved/share/deepread/models/nano/deepread.json" ] || fail "no profile of the bundled model"
alone "$deepread" model check "$prefix/moved/share/deepread/models/nano" >/dev/null || fail "model check exits with $?"

# The bundled model is found without being named.
mkdir "$prefix/tree"
printf 'int frobnicate_widget(int x)\n{\n    return x + 1;\n}\n' >"$prefix/tree/widget.c"
answer=$(alone "$deepread" -C "$prefix/tree" ask "where is frobnicate_widget defined?" 2>"$prefix/err") ||
    fail "ask exits with $?: $(cat "$prefix/err")"
case $answer in *widget.c:1*) ;; *) fail "ask says '$answer'" ;; esac

if command -v readelf >/dev/null 2>&1 && readelf -d "$deepread" | grep -E 'R(UN)?PATH'; then
    fail "the program carries a library path of the build machine"
fi
[ "$failures" -eq 0 ] && echo "an installed program works"
exit "$((failures > 0))"
