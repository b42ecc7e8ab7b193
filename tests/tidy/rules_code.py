"""Rules about C++: rooms and layers, sizes of functions, atomics, headers, banned tokens."""
import re
import shutil
import subprocess

from source import closing

MAX_FUNCTION_LINES = 70

# A room includes only rooms of a lower number; rooms of one number do not see each other.
LAYER = {"base": 0, "sys": 1, "ring": 1, "wire": 1, "life": 2, "sync": 3, "shm": 4, "wait": 4,
         "channel": 5, "mailbox": 6, "link": 7, "asio": 8, "medium": 8, "matchmaker": 9, "rpc": 10,
         "": 11}
ABOVE = ("cli", "bench", "tests", "examples")
ATOMIC_ROOMS = ("ring", "life", "sync", "shm", "wait", "channel", "mailbox", "link")
OPENING = ("Start here", "Threads", "Processes", "Death", "Blocking", "Lifetime", "Units",
           "Source")
# Headers that need no opening: values, constants and words that one line describes.
SMALL = {"base/atomic.hpp", "base/check.hpp", "base/crash_point.hpp", "base/layout.hpp",
         "base/size.hpp", "base/type_info.hpp", "mailbox/options.hpp", "mailbox/plan.hpp",
         "channel/lane_bound.hpp", "link/options.hpp", "ring/log_checks.hpp",
         "ring/pool_geometry.hpp",
         "ring/pool_words.hpp", "stoa.hpp", "sys/errno.hpp", "sys/memfd.hpp"}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"\n]+)[>"]', re.MULTILINE)
_ATOMIC_CALL = re.compile(
    r"(?:\.|->)(load|store|exchange|fetch_\w+|compare_exchange_\w+|test_and_set)\s*\(")
_ORDER = re.compile(r"\bk(?:Relaxed|Acquire|Release|AcqRel|SeqCst)\b|memory_order")
_NOT_FUNCTION = re.compile(r"\b(?:namespace|class|struct|union|enum|extern)\b[^()]*$")
_BANNED = [
    (r"(?<!asm )\bvolatile\b", "", "volatile orders nothing: use Atomic"),
    (r"\bstd::endl\b", "", "std::endl flushes: write '\\n'"),
    (r"\bpthread_(?:mutex|cond|rwlock|barrier)\w*_setpshared|\bPTHREAD_PROCESS_SHARED\b", "",
     "glibc's process-shared objects do not survive a killed process"),
    (r"\batomic_thread_fence\b", "", "ThreadSanitizer sees no fences: order the operations"),
    (r"\bsem_init\b", "stoa/", "glibc's semaphores lose the permits of the dead"),
    (r"\bf?printf\s*\(|\bputs\s*\(|\bstd::(?:cout|cerr)\b", "stoa/", "the library prints nothing"),
    (r"\berrno\b", "stoa/", "errno ends in sys/"),
    (r"\bstd::hardware_destructive_interference_size\b", "stoa/", "part of a format: kCacheLine"),
    (r"\breinterpret_cast<[^>]*Layout", "stoa/", "the one cast to a layout is layout_at"),
]
_BANNED_EXCEPT = {"the library prints nothing": ("stoa/base/check.cpp",),
                  "errno ends in sys/": ("stoa/sys/",)}
_SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.>:])sleep\s*\(")


def _includes(source):
    """(offset, system?, path). From the text, since the code has its strings blanked."""
    return [(m.start(), m.group(1) == "<", m.group(2)) for m in _INCLUDE.finditer(source.text)]


def layers(tree):
    """A room includes only rooms below it; tests may also use tests/kit."""
    found = []
    for s in tree.code("stoa/"):
        for offset, system, path in _includes(s):
            if system:
                if path.startswith("stoa/"):
                    found.append(f"{s.at(offset)}: include \"{path}\" in quotes")
                continue
            top, _, rest = path.partition("/")
            if top != "stoa":
                if not (s.is_test() and path.startswith("tests/")):
                    found.append(f"{s.at(offset)}: a room must not include {path}")
                continue
            room = rest.split("/")[0] if "/" in rest else ""
            if room not in LAYER or s.room() not in LAYER:
                found.append(f"{s.at(offset)}: no layer is known for {path}")
            elif room != s.room() and LAYER[room] >= LAYER[s.room()]:
                found.append(f"{s.at(offset)}: {s.room()} must not include {path}")
    return found


def include_paths(tree):
    """Includes in quotes are written from the root and lead to a file."""
    found = []
    for s in tree.code():
        for offset, system, path in _includes(s):
            if not system and not tree.exists(path) and not path.startswith("generated/") \
                    and not path.endswith("/commit.hpp"):
                found.append(f"{s.at(offset)}: there is no {path} below the root")
    return found


def ring_without_os(tree):
    """The room ring knows no operating system: only headers of the C++ library."""
    return [f"{s.at(offset)}: ring must not include <{path}>"
            for s in tree.code("stoa/ring/") if not s.is_test()
            for offset, system, path in _includes(s)
            if system and (path.endswith(".h") or "/" in path or
                           path in ("mutex", "thread", "condition_variable", "fstream"))]


def functions(source):
    """(first line, lines, head) of each function body; a rough brace counter."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  source.code, flags=re.MULTILINE)
    result, i, head_start = [], 0, 0
    while i < len(code):
        c = code[i]
        if c in ";}":
            head_start = i + 1
        elif c == "(":
            i = closing(code, i)
            continue
        elif c == "{":
            if label := re.match(r"(?:\s*\w+\s*:(?!:))+", code[head_start:i]):
                head_start += label.end()  # public: and the like
            head = re.sub(r"\balignas\([^)]*\)|\[\[.*?\]\]", "", code[head_start:i])
            if "(" in head and not _NOT_FUNCTION.search(head) and "=" not in head.split("(")[0]:
                end = closing(code, i, "{}")
                first = head_start + len(head) - len(head.lstrip())
                lines = source.line_of(end - 1) - source.line_of(first) + 1
                result.append((source.line_of(first), lines, " ".join(head.split())))
                i = end
                head_start = end
                continue
            head_start = i + 1
        i += 1
    return result


def function_length(tree):
    """Functions have at most 70 lines."""
    return [f"{s.path}:{line}: {lines} lines in {head[:60]}"
            for s in tree.code() for line, lines, head in functions(s)
            if lines > MAX_FUNCTION_LINES and not s.allows(line, "function_length")]


def memory_orders(tree):
    """Every atomic operation names its memory order."""
    found = []
    for s in tree.code("stoa/"):
        if s.room() not in ATOMIC_ROOMS or s.is_test():
            continue
        for match in _ATOMIC_CALL.finditer(s.code):
            arguments = s.code[match.end() - 1:closing(s.code, match.end() - 1)]
            if not _ORDER.search(arguments):
                found.append(f"{s.at(match.start())}: {match.group(1)} without a memory order")
    return found


def header_openings(tree):
    """Headers of stoa/ open with the same eight lines, small and other ones if they begin them."""
    found = []
    for s in tree.code():
        if not s.is_header():
            continue
        if not s.text.startswith("// ") or "\n#pragma once\n" not in s.text:
            found.append(f"{s.path}: must open with a comment and #pragma once")
            continue
        opening = s.text[:s.text.index("\n#pragma once\n")]
        words = re.findall(r"^// ([A-Z][a-z]+(?: here)?):", opening, re.MULTILINE)
        words = tuple(w for w in words if w in OPENING)
        small = (not s.path.startswith("stoa/") or s.is_test() or
                 s.path[len("stoa/"):] in SMALL or s.path.endswith("_layout.hpp"))
        if words != OPENING and not (small and not words and "Start here:" not in opening):
            missing = [w for w in OPENING if w not in words]
            found.append(f"{s.path}: opens without, or not in this order: "
                         f"{', '.join(missing or OPENING)}")
    return found


def banned(tree):
    """Tokens that have no place here."""
    found = []
    for s in tree.code():
        for pattern, folder, why in _BANNED:
            if not s.path.startswith(folder) or s.path.startswith(_BANNED_EXCEPT.get(why, ("?",))):
                continue
            if folder and s.is_test():
                continue
            for match in re.finditer(pattern, s.code):
                line = s.line_of(match.start())
                if not s.allows(line, "banned"):
                    found.append(f"{s.path}:{line}: '{match.group(0).strip()}': {why}")
        for match in re.finditer(r"\b(?:TODO|FIXME|XXX|HACK)\b", s.text):
            found.append(f"{s.at(match.start())}: {match.group(0)}: do it or leave it out")
    return found


def no_sleep_in_tests(tree):
    """No test sleeps to wait for something; wait_until looks until it holds."""
    return [f"{s.at(m.start())}: a sleep synchronises nothing"
            for s in tree.code() if s.is_test() and s.path != "tests/kit/wait_until.hpp"
            for m in _SLEEP.finditer(s.code)
            if not s.allows(s.line_of(m.start()), "sleep")]


def formatted(tree):
    """clang-format-19 would change nothing."""
    tool = shutil.which("clang-format-19")
    if tool is None or tree.root is None:
        return []
    paths = [s.path for s in tree.code()]
    ended = subprocess.run([tool, "--dry-run", "--Werror", *paths], cwd=tree.root, text=True,
                           stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False)
    files = sorted(set(re.findall(r"^([\w./-]+):\d+:\d+: error", ended.stderr, re.MULTILINE)))
    return [f"{path}: run clang-format-19 -i on it" for path in files]


RULES = [layers, include_paths, ring_without_os, function_length, memory_orders, header_openings,
         banned, no_sleep_in_tests, formatted]
