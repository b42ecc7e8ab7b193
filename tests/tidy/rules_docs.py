"""Rules that compare pages with the code: formats of shared memory, errors."""
import re

_STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(
    r"^[ \t]+(?:alignas\(\d*[^)\n]*\) )?([\w:]+(?:<[\w:]+>)?) (\w+)((?:\[[^\]]+\])*);",
    re.MULTILINE)
_OFFSET = re.compile(r"offsetof\((\w+), (\w+)\) == (\w+)")
_ROW = re.compile(r"^//\s+(\d+|-)\s+(\S+)\s+(\S+)\s+(\S.*)$")


def _layout_headers(tree):
    return [s for s in tree.code("stoa/") if s.path.endswith("_layout.hpp")]


def _members(body):
    return [(m.group(1), m.group(2)) for m in _MEMBER.finditer(body)]


def _structs(source):
    """Those that lie in memory: with atomics, or in a table, or inside such a struct."""
    all_of = {m.group(1): m.group(2) for m in _STRUCT.finditer(source.code)}
    chosen = {n for n, body in all_of.items() if "Atomic<" in body or n in tables(source)}
    for name in list(chosen):
        chosen |= {kind for kind, _ in _members(all_of.get(name, ""))} & set(all_of)
    return {n: all_of[n] for n in chosen if n in all_of}


def _asserted(source):
    return {(m.group(1), m.group(2)): m.group(3) for m in _OFFSET.finditer(source.code)}


def tables(source):
    """{struct: [(offset, bytes, field, writer)]} of the comment that opens a layout header."""
    found, name = {}, None
    for line in source.text.split("\n#pragma once")[0].split("\n"):
        if match := re.match(r"^// ([A-Z][a-z]+[A-Z]\w+)(?:,.*)?$", line):
            name = match.group(1)
        elif (match := _ROW.match(line)) and name:
            writer = re.split(r"\s{2,}", match.group(4))[0]
            found.setdefault(name, []).append((*match.group(1, 2, 3), writer))
    return found


def page_tables(page):
    """{heading: [(offset, bytes, field, writer)]} of a page in docs/formats."""
    found, name = {}, None
    for line in page.lines:
        if line.startswith("#"):
            name = line.lstrip("# ")
        elif re.match(r"^\| *(\d+|-) *\|", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(name, []).append(tuple(cells[:4]))
    return found


def layout_asserts(tree):
    """Every field of a layout has its offset asserted, every layout its size."""
    found = []
    for s in _layout_headers(tree):
        asserted = _asserted(s)
        structs = _structs(s)
        for name, body in structs.items():
            for _, field in _members(body):
                if (name, field) not in asserted:
                    found.append(f"{s.path}: offsetof({name}, {field}) is not asserted")
            inner = any(name == kind for other in structs.values() for kind, _ in _members(other))
            if f"sizeof({name})" not in s.code and not inner:
                found.append(f"{s.path}: sizeof({name}) is not asserted")
        if "is_standard_layout_v" not in s.code:
            found.append(f"{s.path}: is_standard_layout_v is not asserted")
        is_a_part = "has no magic word of its own" in " ".join(s.lines)
        if not is_a_part and not re.search(r"constexpr std::uint64_t k\w+Magic = magic_of\(",
                                           s.code):
            found.append(f"{s.path}: has no magic word")
    return found


def _offset_of(name, field, structs, asserted):
    """The asserted offset of a field, also of `member.field` in a struct inside."""
    outer, _, inner = field.rpartition(".")
    if not outer:
        return asserted.get((name, field))
    kinds = {n: kind for kind, n in _members(structs.get(name, ""))}
    first = asserted.get((name, outer))
    second = asserted.get((kinds.get(outer), inner))
    if first is None or second is None:
        return None
    return str(int(first) + int(second))


def layout_tables(tree):
    """The table in a layout header says what its static_asserts say, without overlaps."""
    found = []
    for s in _layout_headers(tree):
        structs, asserted = _structs(s), _asserted(s)
        listed = tables(s)
        if not listed:
            found.append(f"{s.path}: has no table of its fields")
        for name, rows in listed.items():
            end = 0
            for offset, size, field, _ in rows:
                if offset == "-":
                    continue
                if int(offset) < end:
                    found.append(f"{s.path}: {name}.{field} overlaps what lies before it")
                end = int(offset) + (int(size) if size.isdigit() else 0)
                in_code = _offset_of(name, field, structs, asserted)
                if in_code is None and not size.isdigit():
                    continue  # what follows the struct
                if in_code != offset:
                    found.append(f"{s.path}: the table puts {name}.{field} at {offset}, "
                                 f"the code at {in_code}")
            for _, field in _members(structs.get(name, "")):
                if not any(f == field or f.startswith(field + ".") for _, _, f, _ in rows):
                    found.append(f"{s.path}: {name}.{field} is not in the table")
    return found


def formats(tree):
    """docs/formats holds one page per layout header, with the same tables."""
    found, pages = [], set()
    for s in _layout_headers(tree):
        path = "docs/formats/" + s.path.rsplit("/", 1)[1].replace("_layout.hpp", ".md")
        pages.add(path)
        page = tree.get(path)
        if page is None:
            found.append(f"{path}: does not exist, {s.path} does")
            continue
        listed = page_tables(page)
        for name, rows in tables(s).items():
            if listed.get(name) != rows:
                strange = set(listed.get(name, [])) ^ set(rows)
                found.append(f"{path}: {name} is not as in {s.path}: "
                             f"{sorted(strange) or 'other order'}")
        if s.path not in page.text:
            found.append(f"{path}: does not name {s.path}")
    for s in tree.all():
        if s.path.startswith("docs/formats/") and s.path not in pages \
                and not s.path.endswith("README.md"):
            found.append(f"{s.path}: no layout header belongs to it")
    return found


def errors(tree):
    """docs/errors.md lists each Errc with its number, meaning, remedy and advice."""
    header = tree.get("stoa/base/error.hpp")
    texts = tree.get("stoa/base/error.cpp")
    page = tree.get("docs/errors.md")
    if header is None or texts is None:
        return []
    if page is None:
        return ["docs/errors.md: does not exist"]
    body = re.search(r"enum class Errc[^{]*\{(.*?)\n\};", header.text, re.DOTALL).group(1)
    expected, number = [], 0
    for match in re.finditer(r"^ +(\w+)(?: = (\d+))?,\s*// (.*)$", body, re.MULTILINE):
        number = int(match.group(2) or number + 1)
        code = match.group(1)
        remedy = re.search(rf"case Errc::{code}:(?:\s*case Errc::\w+:)*\s*return Remedy::(\w+)",
                           header.text)
        advice = re.search(rf'Text\{{Errc::{code}, "{code}",((?:\s*"[^"]*")+)\}}', texts.text)
        expected.append((code, str(number), match.group(3), remedy and remedy.group(1),
                         advice and "".join(re.findall(r'"([^"]*)"', advice.group(1)))))
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|"))
            for line in page.lines if re.match(r"^\| \w+ \| \d+ \|", line)]
    return ([f"docs/errors.md: misses {row}" for row in expected if row not in rows] +
            [f"docs/errors.md: has {row}, the code has not" for row in rows
             if row not in expected])


GUARANTEES = [f"G{i}" for i in range(1, 28)] + [f"H{i}" for i in range(1, 12)]


def _scenario_exists(tree, name):
    """Scenarios of tests/crash are named by one string, or put together from two."""
    first, _, rest = name.partition(".")
    texts = [s.text for s in tree.code("tests/crash/")]
    return any(f'"{name}"' in t or (re.search(rf'"{first}\.?"', t) and
                                    re.search(rf'"\.?{re.escape(rest)}"', t)) for t in texts)


def guarantees(tree):
    """docs/proof.md: every guarantee is held or planned; what proves a held one exists."""
    page = tree.get("docs/proof.md")
    if page is None:
        return []
    tests = {m.group(1) + "." + m.group(2) for s in tree.code() for m in re.finditer(
        r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", s.code, re.MULTILINE)}
    rows = {m.group(1): m.group(2, 3) for line in page.lines
            if (m := re.match(r"^\| ([GH]\d+) \| (\w+) \| (.*) \|$", line))}
    found = [f"docs/proof.md: {name} is not listed" for name in GUARANTEES if name not in rows]
    for name, (state, text) in rows.items():
        if state not in ("held", "planned"):
            found.append(f"docs/proof.md: {name} is {state}, neither held nor planned")
        proofs = re.findall(r"`(\w+\.\w+)`", text)
        if state == "held" and not proofs:
            found.append(f"docs/proof.md: {name} is held, but no test is named")
        for proof in proofs:
            known = proof in tests if proof[0].isupper() else _scenario_exists(tree, proof)
            if not known:
                found.append(f"docs/proof.md: {name}: there is no {proof}")
    return found


RULES = [layout_asserts, layout_tables, formats, errors, guarantees]
