"""Each guide page holds its program letter for letter, and each program is under 40 lines."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
failures = []
shown = set()
for page in [root / "README.md", *sorted((root / "docs/guide").glob("*.md"))]:
    text = page.read_text()
    for name, block in re.findall(r"\(examples/(\w+\.cpp)\):\n\n```cpp\n(.*?)```", text, re.S):
        shown.add(name)
        if block != (root / "examples" / name).read_text():
            failures.append(f"{page.name}: the program differs from examples/{name}")
for program in sorted((root / "examples").glob("*.cpp")):
    if len(program.read_text().splitlines()) >= 40:
        failures.append(f"examples/{program.name}: 40 lines or more")
    if program.name not in shown:
        failures.append(f"examples/{program.name}: no guide page shows it")
print("\n".join(failures) or f"{len(shown)} programs are shown as they are")
sys.exit(1 if failures or not shown else 0)
