#!/usr/bin/env python3
"""The style guide that runs. tidy.py ROOT checks the tree, tidy.py --self-test the rules."""
import sys
from pathlib import Path

import rules_code
import rules_docs
import rules_text
from selftest import SNIPPETS
from source import Tree

RULES = {r.__name__: r for r in rules_text.RULES + rules_code.RULES + rules_docs.RULES}
USAGE = "usage: tidy.py [ROOT [RULE ...]] | --self-test | --list"


def check(root, names):
    tree = Tree.read(root)
    failed = 0
    for name in names or RULES:
        found = RULES[name](tree)
        print(f"{'FAILED' if found else 'ok    '} {name}: {RULES[name].__doc__}")
        for line in found:
            print(f"       {line}")
        failed += bool(found)
    long_files = sorted((len(s.lines), s.path) for s in tree.code() if len(s.lines) > 300)
    print(f"{len(tree.sources)} files, {len(long_files)} with more than 300 lines:",
          ", ".join(f"{path} {lines}" for lines, path in reversed(long_files)) or "none")
    return len(names or RULES) - failed, failed


def self_test():
    """Each rule finds what is wrong in its bad snippets and nothing in its good ones."""
    passed = failed = 0
    for name, kind, texts, needle in SNIPPETS:
        found = RULES[name](Tree(texts))
        good = not found if kind == "good" else any(needle in line for line in found)
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"FAILED {name}: {kind} snippet {sorted(texts)} gave {found}")
    for name in RULES:
        kinds = {kind for rule, kind, _, _ in SNIPPETS if rule == name}
        if kinds != {"good", "bad"} and name != "formatted":
            print(f"FAILED {name}: needs a good and a bad snippet")
            failed += 1
    return passed, failed


def main(arguments):
    if arguments == ["--list"]:
        for name, rule in RULES.items():
            print(f"{name:20} {rule.__doc__}")
        return 0
    if arguments[:1] == ["--self-test"]:
        passed, failed = self_test()
    else:
        unknown = [name for name in arguments[1:] if name not in RULES]
        if unknown or any(a.startswith("-") for a in arguments):
            print(USAGE, file=sys.stderr)
            return 2
        root = arguments[0] if arguments else Path(__file__).resolve().parents[2]
        passed, failed = check(str(root), arguments[1:])
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
