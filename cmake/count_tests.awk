# Reads what `ctest -V` printed and counts test cases: the cases of GoogleTest programs one by one;
# of other programs what their own line "N passed, N failed" says, else the program itself.
# Prints "FAILED number name" per program that failed, then "passed failed skipped".
function ended(number, name, ok) {
    p = passed[number] + 0; f = failed[number] + 0
    if (p + f + skipped[number] == 0 && (number in own_passed)) {
        p = own_passed[number]; f = own_failed[number]
    }
    if (ok && p + f + skipped[number] == 0) p = 1
    if (!ok && f == 0) f = 1
    if (f > 0) print "FAILED", number, name
    all_passed += p; all_failed += f; all_skipped += skipped[number]
}
match($0, /^ *[0-9]+: /) {
    number = substr($0, 1, RLENGTH) + 0
    line = substr($0, RLENGTH + 1)
    if (line ~ /^\[       OK \] .*\([0-9]+ ms\)$/) ++passed[number]
    else if (line ~ /^\[  FAILED  \] .*\([0-9]+ ms\)$/) ++failed[number]
    else if (line ~ /^\[  SKIPPED \] .*\([0-9]+ ms\)$/) ++skipped[number]
    else if (line ~ /^[0-9]+ passed, [0-9]+ failed$/) {
        split(line, word, " ")
        own_passed[number] = word[1]; own_failed[number] = word[3]
    }
    next
}
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    sub(/^.*Test +#/, "")
    number = $0 + 0
    name = $2
    ended(number, name, $0 ~ / Passed +[0-9.]+ sec/)
}
END { print all_passed + 0, all_failed + 0, all_skipped + 0 }
