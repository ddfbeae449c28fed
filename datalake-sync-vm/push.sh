#!/usr/bin/env bash
# push.sh HOST FOLDER: what was generated in FOLDER goes to the VM's user. utils/ is ours and is overwritten; a file in config/
# that is there already is the VM's own, and stays as it is: what a newer template has and it lacks is shown.
# SSH: how the VM is reached (SSH="ssh -p 2222").
set -euo pipefail
host=$1 built=$2
ssh=${SSH:-ssh}

# rsync's own temporary names: a wrapper that runs just now goes on with the file that it was started from.
send() { rsync --rsh "$ssh" --recursive --links --perms --times --mkpath "$@"; }

send --chmod=D700 "$built/utils" "$built/autofs" "$built/systemd" "$host:"
echo "sent to $host: utils autofs systemd"

theirs=$(mktemp -d)
trap 'rm -rf "$theirs"' EXIT
# What stands there before anything is added; only the files that we have a template of.
(cd "$built/config" && ls) > "$theirs/names"
# shellcheck disable=SC2086  # ssh may be several words
$ssh "$host" 'umask 077; mkdir -p config state logs'
rsync --rsh "$ssh" --recursive --times --mkpath --ignore-missing-args --files-from "$theirs/names" \
    "$host:config/" "$theirs/config/"

send --chmod=D700,F600 --ignore-existing "$built/config/" "$host:config/"

# Lines of the template that have no fellow of the same key there; values of theirs, which may be secrets, are not shown.
keys_missing() {
    awk '
        function key(line) {
            sub(/^[#; \t]+/, "", line)
            if (!match(line, /^"?[A-Za-z_-]+"?[ \t]*[=:]/)) return ""
            line = substr(line, 1, RLENGTH); gsub(/[" \t=:]/, "", line); return tolower(line)
        }
        FILENAME == ARGV[1] { have[key($0)] = 1; next }
        { k = key($0); if (k != "" && !(k in have)) print "    + " $0 }
    ' "$1" "$2"
}

# Of JSON, key by key of each task: a key that another task has is none of this one's.
tasks_missing() {
    python3 - "$1" "$2" <<'END'
import json, sys

def missing(template, theirs, at):
    for key, value in template.items():
        if key not in theirs:
            print(f"    + {' '.join([*at, json.dumps(key)])}: {json.dumps(value)}")
        elif isinstance(value, dict) and isinstance(theirs[key], dict):
            missing(value, theirs[key], [*at, json.dumps(key)])

try:
    with open(sys.argv[1], encoding="utf-8") as file:
        theirs = json.load(file)
except ValueError as error:
    theirs = None
    print(f"    it is no JSON: {error}")
if isinstance(theirs, dict):
    with open(sys.argv[2], encoding="utf-8") as file:
        missing(json.load(file), theirs, [])
END
}

while read -r name; do
    if [ ! -e "$theirs/config/$name" ]; then
        echo "config/$name: new, from the template"
    else
        case $name in
            *.json) missing=$(tasks_missing "$theirs/config/$name" "$built/config/$name") ;;
            *) missing=$(keys_missing "$theirs/config/$name" "$built/config/$name") ;;
        esac
        echo "config/$name: kept as it is on the VM${missing:+; the template has keys that it lacks:}"
        [ -z "$missing" ] || printf '%s\n' "$missing"
    fi
done < "$theirs/names"
