"""docs/proof.md: each guarantee is held or planned, and the tests of a held one exist."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
text = (root / "docs/proof.md").read_text()
wanted = [f"G{i}" for i in range(1, 28)] + [f"H{i}" for i in range(1, 12)]
rows = dict()
for line in text.splitlines():
    row = re.match(r"\| ([GH]\d+) \| (held|planned) \| (.*) \|$", line)
    if row:
        rows[row[1]] = (row[2], row[3])
code = "\n".join(path.read_text(errors="replace")
                 for folder in ("stoa", "tests", "cli")
                 for path in (root / folder).rglob("*.cpp"))
scenarios = [path.read_text(errors="replace")
             for path in (root / "tests/crash/scenarios").rglob("*.cpp")]


def is_scenario(family, case):
    """Their names are put together: the family and the case stand in one file."""
    return any(re.search(rf'"{family}["._]', text) and re.search(rf'["._]{case}"', text)
               for text in scenarios)


failures = [f"{name}: no row" for name in wanted if name not in rows]
checked = 0
for name, (state, proofs) in rows.items():
    tests = re.findall(r"`([\w.]+)`", proofs)
    if state == "held" and not tests:
        failures.append(f"{name}: held, and no test is named")
    for test in tests if state == "held" else []:
        checked += 1
        suite, _, case = test.partition(".")
        found = f'"{test}' in code or f"({suite}, {case})" in re.sub(r",\s+", ", ", code)
        if not found and not is_scenario(suite, case):
            failures.append(f"{name}: there is no test {test}")
print("\n".join(failures) or f"{checked} tests of held guarantees exist")
sys.exit(1 if failures or checked == 0 else 0)
