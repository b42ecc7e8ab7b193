"""A good and a bad snippet for each rule: (rule, kind, {path: text}, what the finding says)."""

_OPENING = """// A thing.
//
// Start here: thing().
// Threads:    safe.
// Processes:  any.
// Death:      nothing is left.
// Blocking:   never.
// Lifetime:   value.
// Units:      bytes.
// Source:     none.
#pragma once
"""
_LAYOUT = """// Memory image of a box, format v1. docs/formats/box.md holds this table.
//
// BoxLayout
//   offset bytes field   writer        rule
//        0     8 magic   creator       set first
//        8     4 count   anyone (CAS)  only grows
//       64     - rest    -             what follows
#pragma once
inline constexpr std::uint64_t kBoxMagic = magic_of("STOABOX1");
struct BoxLayout {
    std::uint64_t magic;
    Atomic<std::uint32_t> count;
};
static_assert(offsetof(BoxLayout, magic) == 0 && offsetof(BoxLayout, count) == 8);
static_assert(sizeof(BoxLayout) == 64 && std::is_standard_layout_v<BoxLayout>);
"""
_BOX_PAGE = """# Box
Code: `stoa/shm/box_layout.hpp`.
## BoxLayout
| offset | bytes | field | writer | rule |
|---|---|---|---|---|
| 0 | 8 | magic | creator | set first |
| 8 | 4 | count | anyone (CAS) | only grows |
| 64 | - | rest | - | what follows |
"""
_BOX = "stoa/shm/box_layout.hpp"
_ERROR_HPP = """enum class Errc : std::uint8_t {
    timed_out = 1,   // the deadline passed
    empty,           // nothing there
};
        case Errc::timed_out:
        case Errc::empty:
            return Remedy::try_later;
"""
_ERROR_CPP = """Text{Errc::timed_out, "timed_out", "wait longer"},
Text{Errc::empty, "empty",
     "use a blocking receive "
     "to wait"},
"""
_ERROR_PAGE = """| timed_out | 1 | the deadline passed | try_later | wait longer |
| empty | 2 | nothing there | try_later | use a blocking receive to wait |
"""
_ERRORS = {"stoa/base/error.hpp": _ERROR_HPP, "stoa/base/error.cpp": _ERROR_CPP,
           "docs/errors.md": _ERROR_PAGE}

_PROOF = "".join(f"| {k}{i} | planned | later |\n" for k, n in (("G", 27), ("H", 11))
                 for i in range(1, n + 1)).replace("| G9 | planned | later",
                                                   "| G9 | held | `A.B`, `x.y`")
_PROVEN = {"docs/proof.md": _PROOF, "stoa/ring/a_test.cpp": "TEST_P(A, B) {\n",
           "tests/crash/x.cpp": 'add("x", ".y");\n'}


def _proofs(old, new):
    return {**_PROVEN, "docs/proof.md": _PROOF.replace(old, new)}


def _errors(**changed):
    return {**_ERRORS, **changed}


def _function(lines):
    return "int f(int a) {\n" + "    ++a;\n" * (lines - 2) + "}\n"


SNIPPETS = [
    ("line_length", "good", {"stoa/ring/a.cpp": "x" * 100 + "\n"}, ""),
    ("line_length", "bad", {"stoa/ring/a.cpp": "\n" + "x" * 101 + "\n"}, "a.cpp:2: 101"),
    ("file_length", "good", {"a.py": "x\n" * 699}, ""),
    ("file_length", "bad", {"a.py": "x\n" * 700}, "701"),
    ("text_ends", "good", {"a.cpp": "x\n"}, ""),
    ("text_ends", "bad", {"a.cpp": "x \n"}, "a.cpp:1"),
    ("text_ends", "bad", {"a.cpp": "\tx\n"}, "a tab"),
    ("text_ends", "bad", {"a.cpp": "x"}, "one newline"),
    ("words", "good", {"a.md": "see /usr/include and https://man7.org/x; its work/life\n"}, ""),
    ("words", "bad", {"a.md": "\nput it in /home/me/x\n"}, "a.md:2: '/home/me'"),
    ("words", "bad", {"a.cpp": "// as the founder said\n"}, "founder"),
    ("words", "bad", {"check": "curl https://packages.example.org/x\n"}, "packages.example.org"),
    ("links", "good", {"docs/a.md": "[b](../b.md) [c](c/)\n", "b.md": "\n", "docs/c/d.md": ""}, ""),
    ("links", "bad", {"docs/a.md": "[b](b.md)\n", "b.md": "\n"}, "b.md does not exist"),
    ("pages", "good", {"ARCHITECTURE.md": "x\n" * 150, "stoa/ring/README.md": "x\n",
                       "stoa/ring/a.cpp": "\n"}, ""),
    ("pages", "bad", {"ARCHITECTURE.md": "x\n" * 151}, "150"),
    ("pages", "bad", {"ARCHITECTURE.md": "x\n", "stoa/ring/a.cpp": "\n"}, "has no README.md"),
    ("pages", "bad", {"ARCHITECTURE.md": "x\n", "stoa/ring/a.cpp": "\n",
                      "stoa/ring/README.md": "x\n" * 41}, "more than 40"),
    ("examples", "good", {"examples/a.cpp": "x\n" * 39}, ""),
    ("examples", "bad", {"examples/a.cpp": "x\n" * 40}, "40 lines"),
    ("layers", "good", {"stoa/shm/a.cpp": '#include "stoa/sys/fd.hpp"\n#include <span>\n',
                        "stoa/shm/a_test.cpp": '#include "tests/kit/temp.hpp"\n'}, ""),
    ("layers", "bad", {"stoa/sys/a.cpp": '\n#include "stoa/life/x.hpp"\n'}, "a.cpp:2"),
    ("layers", "bad", {"stoa/ring/a.cpp": '#include "stoa/sys/fd.hpp"\n'}, "ring must not"),
    ("layers", "bad", {"stoa/sync/a.cpp": '#include "tests/kit/temp.hpp"\n'}, "a room must not"),
    ("layers", "bad", {"stoa/base/a.hpp": '#include "stoa/stoa.hpp"\n'}, "base must not"),
    ("layers", "bad", {"stoa/attic/a.hpp": '#include "stoa/base/error.hpp"\n'}, "no layer"),
    ("include_paths", "good", {"cli/a.cpp": '#include "cli/b.hpp"\n', "cli/b.hpp": "\n"}, ""),
    ("include_paths", "bad", {"cli/a.cpp": '#include "b.hpp"\n', "cli/b.hpp": "\n"}, "b.hpp"),
    ("ring_without_os", "good", {"stoa/ring/a.cpp": "#include <cstdint>\n",
                                 "stoa/ring/a_test.cpp": "#include <unistd.h>\n"}, ""),
    ("ring_without_os", "bad", {"stoa/ring/a.cpp": "#include <unistd.h>\n"}, "unistd.h"),
    ("ring_without_os", "bad", {"stoa/ring/a.hpp": "#include <sys/mman.h>\n"}, "sys/mman.h"),
    ("ring_without_os", "bad", {"stoa/ring/a.hpp": "#include <mutex>\n"}, "mutex"),
    ("function_length", "good", {"a.cpp": "namespace x {\n" + _function(70) * 3 + "}\n"}, ""),
    ("function_length", "good", {"a.cpp": "struct S {\n" + "    int a;\n" * 90 + "};\n"}, ""),
    ("function_length", "good",
     {"a.cpp": "// allowed: function_length: a table\n" + _function(71)}, ""),
    ("function_length", "bad", {"a.cpp": "namespace x {\n" + _function(71) + "}\n"}, "a.cpp:2: 71"),
    ("function_length", "bad",
     {"a.cpp": "class alignas(64) S {\npublic:\n" + _function(80) + "};\n"}, "80 lines"),
    ("memory_orders", "good", {"stoa/ring/a.cpp": "x.store(f(1), kRelease); y->load(kAcquire);\n",
                               "stoa/ring/a_test.cpp": "x.load();\n",
                               "stoa/sys/a.cpp": "x.load();\n"}, ""),
    ("memory_orders", "bad", {"stoa/ring/a.cpp": "x.store(f(kRelaxed), 1); y.load();\n"}, "load"),
    ("memory_orders", "bad", {"stoa/sync/a.hpp": "w->compare_exchange_strong(a,\n b);\n"},
     "compare_exchange_strong"),
    ("memory_orders", "bad", {"stoa/shm/a.cpp": "w.fetch_add(1);  // kRelaxed\n"}, "fetch_add"),
    ("header_openings", "good", {"stoa/ring/a.hpp": _OPENING,
                                 "stoa/base/size.hpp": "// Sizes.\n#pragma once\n"}, ""),
    ("header_openings", "bad", {"stoa/ring/a.hpp": _OPENING.replace("// Death: ", "// ")},
     "Death"),
    ("header_openings", "bad",
     {"stoa/ring/a.hpp": _OPENING.replace("Units", "x").replace("Source", "Units")
      .replace("x:", "Source:")}, "not in this order"),
    ("header_openings", "bad", {"stoa/ring/a.hpp": "// A thing.\n#pragma once\n"}, "Start here"),
    ("header_openings", "bad", {"stoa/ring/a.hpp": "struct A {};\n"}, "must open"),
    ("header_openings", "bad",
     {"stoa/base/size.hpp": "// Sizes.\n// Threads: safe.\n#pragma once\n"}, "Start here"),
    ("banned", "good", {"stoa/sys/a.cpp": 'asm volatile("" ::: "memory"); return errno;\n',
                        "cli/a.cpp": "// volatile\nstd::printf(\"errno\");\n",
                        "bench/a.cpp": "volatile int x;  // allowed: banned: keeps the loop\n"},
     ""),
    ("banned", "bad", {"cli/a.cpp": "volatile int x;\n"}, "volatile"),
    ("banned", "bad", {"cli/a.cpp": "\nstd::cout << std::endl;\n"}, "a.cpp:2"),
    ("banned", "bad", {"cli/a.cpp": "int x;  // " + "TO" + "DO later\n"}, "do it"),
    ("banned", "bad", {"stoa/shm/a.cpp": 'std::printf("x");\n'}, "prints nothing"),
    ("banned", "bad", {"stoa/shm/a.cpp": "if (errno == 2) {}\n"}, "ends in sys"),
    ("banned", "bad", {"stoa/sync/a.cpp": "pthread_mutexattr_setpshared(&a, 1);\n"}, "killed"),
    ("banned", "bad", {"stoa/sync/a.cpp": "sem_init(&s, 1, 0);\n"}, "permits"),
    ("banned", "bad", {"stoa/ring/a.cpp": "std::atomic_thread_fence(kSeqCst);\n"}, "fences"),
    ("no_sleep_in_tests", "good", {"tests/kit/wait_until.hpp": "sleep_for(x);\n",
                                   "stoa/ring/a_test.cpp": "wait.sleep(x);  // usleep\n"}, ""),
    ("no_sleep_in_tests", "bad", {"stoa/ring/a_test.cpp": "std::this_thread::sleep_for(1s);\n"},
     "a_test.cpp:1"),
    ("no_sleep_in_tests", "bad", {"tests/stress/a.cpp": "\n  sleep(1);\n"}, "a.cpp:2"),
    ("layout_asserts", "good", {_BOX: _LAYOUT}, ""),
    ("layout_asserts", "bad", {_BOX: _LAYOUT.replace(" && offsetof(BoxLayout, count) == 8", "")},
     "offsetof(BoxLayout, count)"),
    ("layout_asserts", "bad", {_BOX: _LAYOUT.replace("sizeof(BoxLayout) == 64 && ", "")},
     "sizeof(BoxLayout)"),
    ("layout_asserts", "bad", {_BOX: _LAYOUT.replace("magic_of", "odd_of")}, "magic"),
    ("layout_asserts", "bad", {_BOX: _LAYOUT.replace("is_standard_layout_v", "is_class_v")},
     "is_standard_layout_v"),
    ("layout_tables", "good", {_BOX: _LAYOUT}, ""),
    ("layout_tables", "bad", {_BOX: _LAYOUT.replace("//        8     4 count",
                                                    "//       12     4 count")}, "at 12"),
    ("layout_tables", "bad", {_BOX: _LAYOUT.replace("//        0     8 magic",
                                                    "//        0    16 magic")}, "overlaps"),
    ("layout_tables", "bad",
     {_BOX: _LAYOUT.replace("//        8     4 count   anyone (CAS)  only grows\n", "")},
     "not in the table"),
    ("layout_tables", "bad", {_BOX: _LAYOUT.replace("// BoxLayout\n", "//\n")}, "no table"),
    ("formats", "good", {_BOX: _LAYOUT, "docs/formats/box.md": _BOX_PAGE}, ""),
    ("formats", "bad", {_BOX: _LAYOUT}, "does not exist"),
    ("formats", "bad", {_BOX: _LAYOUT, "docs/formats/box.md":
                        _BOX_PAGE.replace("| 8 | 4 | count | anyone", "| 8 | 4 | count | nobody")},
     "nobody"),
    ("formats", "bad", {_BOX: _LAYOUT, "docs/formats/box.md": _BOX_PAGE.replace("stoa/", "")},
     "does not name"),
    ("formats", "bad", {"docs/formats/crate.md": _BOX_PAGE}, "no layout header"),
    ("errors", "good", _ERRORS, ""),
    ("errors", "bad", _errors(**{"docs/errors.md": _ERROR_PAGE.split("\n")[0] + "\n"}), "'empty'"),
    ("errors", "bad", _errors(**{"docs/errors.md": _ERROR_PAGE.replace("| 2 |", "| 3 |")}),
     "misses"),
    ("errors", "bad", _errors(**{"stoa/base/error.cpp": _ERROR_CPP.replace("longer", "less")}),
     "wait less"),
    ("errors", "bad", {k: v for k, v in _ERRORS.items() if k != "docs/errors.md"},
     "does not exist"),
    ("guarantees", "good", _PROVEN, ""),
    ("guarantees", "bad", _proofs("`A.B`", "`A.C`"), "no A.C"),
    ("guarantees", "bad", _proofs("`x.y`", "`x.z`"), "no x.z"),
    ("guarantees", "bad", _proofs("`A.B`, `x.y`", "yes"), "no test is named"),
    ("guarantees", "bad", _proofs("| G7 ", "| g7 "), "G7 is not listed"),
    ("guarantees", "bad", _proofs("| G7 | planned", "| G7 | hoped"), "hoped"),
]
