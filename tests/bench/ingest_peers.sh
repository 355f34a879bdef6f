#!/usr/bin/env bash
# Measures this program and others that read a repository, on a clone of the same repository, in the same run, one after the other
# in every round. Prints a table of medians: wall and CPU seconds, most memory.
#
#   tests/bench/ingest_peers.sh PROGRAM REPOSITORY [ROUNDS]        ROUNDS: 5
#
# What a row does is its command; "cold" has an empty cache of its own (the system's page cache is not dropped). Peers are
# installed below PEERS (default: the user's cache folder, never this tree), at the versions named here; one that does not install
# gets no row. aider runs a third of the rounds, because its first scan takes long.
set -euo pipefail

REPOMIX=1.18.1
AIDER=0.86.2
GITINGEST=0.3.1

program=$(realpath "$1")
source=$(realpath "$2")
rounds=${3:-5}
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/deepread-peers}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$peers" "$work/home"

have() { command -v "$1" >/dev/null 2>&1; }

# ---- installing ----

if have npm && [[ ! -x $peers/repomix-$REPOMIX/node_modules/.bin/repomix ]]; then
    mkdir -p "$peers/repomix-$REPOMIX"
    echo '{"private":true}' >"$peers/repomix-$REPOMIX/package.json"
    npm install --prefix "$peers/repomix-$REPOMIX" --ignore-scripts --save-exact "repomix@$REPOMIX" >"$work/npm.log" 2>&1 || echo "repomix does not install" >&2
fi
venv() { # NAME PACKAGE==VERSION COMMAND
    if have python3 && [[ ! -x $peers/$1/bin/$3 ]]; then
        python3 -m venv "$peers/$1" && "$peers/$1/bin/pip" install -q "$2" >"$work/pip.log" 2>&1 || echo "$3 does not install" >&2
    fi
}
venv "aider-$AIDER" "aider-chat==$AIDER" aider
venv "gitingest-$GITINGEST" "gitingest==$GITINGEST" gitingest

# ---- measuring ----

repo=$work/repo
git clone -q "$source" "$repo"
git -C "$repo" config advice.detachedHead false
git -C "$repo" checkout -q --detach "$(git -C "$source" rev-parse HEAD)"

measure() { # ROW COMMAND...: one run, in the clone; what it prints goes nowhere
    local row=$1
    shift
    (cd "$repo" && HOME=$work/home /usr/bin/time -o "$work/one" -f '%e %U %S %M' "$@" >"$work/out" 2>"$work/err" </dev/null) ||
        { echo "$row: failed" >&2; tail -n 3 "$work/err" >&2; return 0; }
    printf '%s\t%s\n' "$row" "$(tail -n 1 "$work/one")" >>"$work/rows"
}
deepread() { # ROW CACHE MODE [more]
    local row=$1 cache=$2 mode=$3
    shift 3
    XDG_CACHE_HOME=$work/$cache measure "$row" "$program" pack --mode "$mode" --budget 0 --quiet "$@"
}

for round in $(seq "$rounds"); do
    rm -rf "$work/cold" "$work/warm" "$work/later"
    deepread "deepread, full pack, cold" cold full --out "$work/pack.txt"
    deepread "deepread, full pack, warm" cold full --out "$work/pack.txt"
    XDG_CACHE_HOME=$work/map measure "deepread, map of 4,096 tokens, cold" "$program" pack --mode map --budget 4096 --quiet
    XDG_CACHE_HOME=$work/map measure "deepread, map of 4,096 tokens, warm" "$program" pack --mode map --budget 4096 --quiet
    rm -rf "$work/map"
    if git -C "$repo" rev-parse -q --verify "HEAD~$round" >/dev/null; then
        head=$(git -C "$repo" rev-parse HEAD)
        git -C "$repo" checkout -q "HEAD~$round"
        (cd "$repo" && XDG_CACHE_HOME=$work/later "$program" pack --mode full --budget 0 --quiet)
        git -C "$repo" checkout -q "$head~$((round - 1))"
        deepread "deepread, full pack, one commit later" later full
        git -C "$repo" checkout -q "$head"
    fi
    if [[ -x $peers/repomix-$REPOMIX/node_modules/.bin/repomix ]]; then
        mix=$peers/repomix-$REPOMIX/node_modules/.bin/repomix
        # It keeps token counts below TMPDIR.
        for flags in "" --no-security-check --compress; do
            rm -rf "$work/tmp"
            mkdir "$work/tmp"
            for heat in cold warm; do
                # shellcheck disable=SC2086  # no flag is no word
                TMPDIR=$work/tmp measure "repomix $REPOMIX${flags:+ $flags}, $heat" "$mix" --quiet $flags -o "$work/mix.xml"
            done
        done
    fi
    if [[ -x $peers/gitingest-$GITINGEST/bin/gitingest ]]; then
        measure "gitingest $GITINGEST" "$peers/gitingest-$GITINGEST/bin/gitingest" . -o "$work/digest.txt"
    fi
    if have ctags; then
        measure "universal-ctags, definitions" ctags -R -f "$work/tags" .
    fi
    if [[ -x $peers/aider-$AIDER/bin/aider && $((round % 3)) -eq 1 ]]; then
        map=(env OPENAI_API_KEY=none LITELLM_LOCAL_MODEL_COST_MAP=True "$peers/aider-$AIDER/bin/aider" --model gpt-4o --show-repo-map --map-tokens 4096
            --no-check-update --analytics-disable --no-show-model-warnings --no-gitignore --yes-always)
        rm -rf "$repo"/.aider*
        measure "aider $AIDER, map of 4,096 tokens, cold" "${map[@]}"
        measure "aider $AIDER, map of 4,096 tokens, warm" "${map[@]}"
        rm -rf "$repo"/.aider*
    fi
done

files=$(git -C "$repo" ls-files | wc -l)
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
printf '%s at %s, %s files; %s rounds; %s, %s CPUs\n\n' "$(basename "$source")" "$(git -C "$repo" rev-parse --short=12 HEAD)" "$files" "$rounds" "$cpu" "$(nproc)"
python3 - "$work/rows" <<'END'
import statistics
import sys
rows = {}
for line in open(sys.argv[1]):
    name, figures = line.rstrip('\n').split('\t')
    rows.setdefault(name, []).append([float(x) for x in figures.split()])
print('| command | wall s | CPU s | memory MB | runs |\n| --- | --- | --- | --- | --- |')
for name, runs in rows.items():
    wall, cpu = (statistics.median(x) for x in ([r[0] for r in runs], [r[1] + r[2] for r in runs]))
    print(f'| {name} | {wall:.2f} | {cpu:.2f} | {max(r[3] for r in runs) / 1024:.0f} | {len(runs)} |')
END
