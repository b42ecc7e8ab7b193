"""Rules about any text: sizes, words, links."""
import re

MAX_COLUMNS = 100
MAX_FILE_LINES = 700

# What has no place in a public repository: homes, work folders, temporary checkouts, and the
# vocabulary of whoever happened to type it.
_PLACES = re.compile(r"(?<![\w.$}/])/(?:home|root|work|Users|mnt|workspace|builds)/\w+")
_WORDS = re.compile(r"\b(?:subagent|chatbot|founder|co-authored-by|(?:design|speed|style)\.md)\b",
                    re.IGNORECASE)
_ADDRESS = re.compile(r"https?://([\w.-]+)")
_KNOWN_HOSTS = {"man7.org", "www.kernel.org", "docs.kernel.org", "doi.org", "keepachangelog.com",
                "semver.org", "www.1024cores.net", "github.com", "en.cppreference.com"}
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _limited(source):
    return not source.path.endswith((".md", ".json"))


def line_length(tree):
    """Lines have at most 100 columns."""
    return [f"{s.path}:{i}: {len(line)} columns"
            for s in tree.all() if _limited(s)
            for i, line in enumerate(s.lines, 1) if len(line) > MAX_COLUMNS]


def file_length(tree):
    """Files have at most 700 lines."""
    return [f"{s.path}: {len(s.lines)} lines" for s in tree.all()
            if len(s.lines) > MAX_FILE_LINES]


def text_ends(tree):
    """No tabs in code, no blanks at the end of a line, one newline at the end of a file."""
    found = []
    for s in tree.all():
        for i, line in enumerate(s.lines, 1):
            if line.endswith((" ", "\t", "\r")) or (s.is_code() and "\t" in line):
                found.append(f"{s.path}:{i}: blanks at the end, or a tab")
        if not s.text.endswith("\n") or s.text.endswith("\n\n"):
            found.append(f"{s.path}: must end with one newline")
    return found


def words(tree):
    """No path of somebody's machine, no host of a registry, no talk about the making."""
    found = []
    for s in tree.all():
        if s.path.startswith("tests/tidy/"):
            continue
        for i, line in enumerate(s.lines, 1):
            for pattern in (_PLACES, _WORDS):
                if match := pattern.search(line):
                    found.append(f"{s.path}:{i}: '{match.group(0)}' does not belong here")
            for match in _ADDRESS.finditer(line):
                if match.group(1) not in _KNOWN_HOSTS:
                    found.append(f"{s.path}:{i}: the host {match.group(1)} is not on the list")
    return found


def links(tree):
    """Links between pages lead somewhere."""
    found = []
    for s in tree.all():
        if not s.path.endswith(".md"):
            continue
        folder = s.path.rsplit("/", 1)[0] + "/" if "/" in s.path else ""
        for match in _LINK.finditer(re.sub(r"```.*?```", lambda m: " " * len(m.group(0)), s.text,
                                           flags=re.DOTALL)):
            target = match.group(1)
            if target.startswith(("http:", "https:")):
                continue
            path = []
            for part in (folder + target).rstrip("/").split("/"):
                path = path[:-1] if part == ".." else path + ([part] if part != "." else [])
            if not tree.exists("/".join(path)):
                found.append(f"{s.at(match.start())}: {target} does not exist")
    return found


def pages(tree):
    """ARCHITECTURE.md fits in 150 lines; every room has a README.md of at most 40 lines."""
    found = []
    top = tree.get("ARCHITECTURE.md")
    if top is None or len(top.lines) > 151:
        found.append("ARCHITECTURE.md: missing, or more than 150 lines")
    for room in tree.rooms():
        page = tree.get(f"stoa/{room}/README.md")
        if page is None:
            found.append(f"stoa/{room}: has no README.md")
        elif len(page.lines) > 41:
            found.append(f"{page.path}: more than 40 lines")
    return found


def examples(tree):
    """Example programs have fewer than 40 lines."""
    return [f"{s.path}: {len(s.lines) - 1} lines" for s in tree.code("examples/")
            if len(s.lines) - 1 >= 40]


RULES = [line_length, file_length, text_ends, words, links, pages, examples]
