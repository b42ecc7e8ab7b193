#!/bin/bash
# Runs all examples in one domain, in order and then in reverse, and looks what they left there.
# usage: in_one_domain.sh FOLDER NAME...      (FOLDER/example_NAME)
set -u
folder=$1
shift
[ $# -gt 0 ] || { echo "no examples are named"; exit 1; }
export STOA_DOMAIN=$folder/domain_of_all
rm -rf "$STOA_DOMAIN"
cd "$folder" || exit 1

run() {
    if [ "$1" = orders ]; then timeout 60 ./example_orders send || return 1; fi
    timeout 60 "./example_$1"
}

order=("$@")
for name in "$@"; do backwards=("$name" ${backwards[@]+"${backwards[@]}"}); done
for name in "${order[@]}" "${backwards[@]}"; do
    if ! output=$(run "$name" 2>&1); then
        echo "$name does not run after the others: $output; there is: $(ls "$STOA_DOMAIN")"
        exit 1
    fi
done
# Its two runs are two shells, so orders leaves its mailbox; a killed process's name is the next
# one's that wants it.
left=$(cd "$STOA_DOMAIN" && ls | grep -v -e '^orders\.mailbox$' -e '\.process$')
[ -z "$left" ] || { echo "left there: $left"; exit 1; }
rm -rf "$STOA_DOMAIN"
echo "$# examples ran twice in one domain"
