"""The files of a source tree, with comments and strings told apart from code."""
import bisect
import os
import re

CODE = (".hpp", ".cpp")
TEXT = CODE + (".py", ".cmake", ".sh", ".awk", ".md", "CMakeLists.txt")
FOLDERS = ("stoa", "cli", "bench", "tests", "examples", "docs", "cmake", ".ci")
TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "CMakeLists.txt",
       "CMakePresets.json", "check", "quickstart", ".clang-tidy", ".clang-format")

_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'", re.DOTALL)


class Source:
    """One file. `code` has its comments and the insides of its strings replaced by blanks."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.code = _TOKENS.sub(self._blank, text) if self.is_code() else text
        self._starts = [0] + [i + 1 for i, c in enumerate(text) if c == "\n"]

    @staticmethod
    def _blank(match):
        token = match.group(0)
        if token[0] in "\"'R":
            return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    def is_code(self):
        return self.path.endswith(CODE)

    def is_header(self):
        return self.path.endswith(".hpp")

    def is_test(self):
        return (self.path.startswith("tests/") or
                re.search(r"_test(?:_\w+)?\.[ch]pp$", self.path) is not None)

    def room(self):
        """The folder in stoa/, or the top folder, or '' for the umbrella header."""
        parts = self.path.split("/")
        if parts[0] != "stoa":
            return parts[0]
        return parts[1] if len(parts) > 2 else ""

    def line_of(self, offset):
        return bisect.bisect_right(self._starts, offset)

    def at(self, offset):
        return f"{self.path}:{self.line_of(offset)}"

    def allows(self, line, rule):
        """A line may break a rule that it, or the one before, names with a reason."""
        return any(re.search(rf"// allowed: {rule}: \w+", text)
                   for text in self.lines[max(0, line - 2):line])


class Tree:
    """Sources by path; from the disk, or made of snippets by the self-test."""

    def __init__(self, texts, root=None):
        self.root = root
        self.sources = {path: Source(path, text) for path, text in sorted(texts.items())}

    @staticmethod
    def read(root):
        texts = {}
        for folder in FOLDERS:
            for where, folders, files in os.walk(os.path.join(root, folder)):
                folders[:] = [f for f in folders if f != "__pycache__"]
                for name in files:
                    path = os.path.relpath(os.path.join(where, name), root)
                    if name.endswith(TEXT) or os.access(os.path.join(root, path), os.X_OK):
                        texts[path] = _read(os.path.join(root, path))
        for name in TOP:
            if os.path.exists(os.path.join(root, name)):
                texts[name] = _read(os.path.join(root, name))
        return Tree({p: t for p, t in texts.items() if t is not None}, root)

    def get(self, path):
        return self.sources.get(path)

    def exists(self, path):
        if path in self.sources or any(p.startswith(path + "/") for p in self.sources):
            return True
        return self.root is not None and os.path.exists(os.path.join(self.root, path))

    def all(self):
        return self.sources.values()

    def code(self, folder=""):
        return [s for s in self.all() if s.is_code() and s.path.startswith(folder)]

    def rooms(self):
        return sorted({s.room() for s in self.code("stoa/")} - {""})


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return None


def closing(code, start, pair="()"):
    """The offset behind the bracket that closes the one at `start`; the end if none does."""
    depth = 0
    for i in range(start, len(code)):
        if code[i] == pair[0]:
            depth += 1
        elif code[i] == pair[1]:
            depth -= 1
            if depth == 0:
                return i + 1
    return len(code)
