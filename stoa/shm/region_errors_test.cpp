// What a region meets on a bad day: full or read-only file systems, damaged files, limits.
// Each is an error that says what to do next, never a signal, and leaves nothing behind.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <vector>

#include "stoa/shm/heap.hpp"
#include "stoa/shm/objects_layout.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/sync/guarded.hpp"
#include "stoa/sys/file.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

struct Pair {
    std::uint64_t one;
    std::uint64_t two;
};

void fill(const std::string& folder) {
    std::ofstream file{folder + "/filler"};
    const std::vector<char> bytes(4096, 'x');
    while (file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
    }
}

TEST(RegionOnASmallTmpfs, FullIsOutOfSpaceAndNeverASignal) {
    kit::TempDomain folder;
    kit::Init small{[&] {
        kit::enter_namespaces(CLONE_NEWNS);
        kit::mount_tmpfs(folder.path().c_str(), std::size_t{4} << 20U);
        Region region = Region::create("r", 1U << 20U, {.max_bytes = 64U << 20U}).value();
        ASSERT_TRUE(region.construct<Pair>("p", Pair{.one = 1, .two = 2}));
        fill(folder.path());
        EXPECT_EQ(region.grow(32U << 20U).error().code, Errc::out_of_space);
        EXPECT_EQ(Region::create("s", 1U << 20U).error().code, Errc::out_of_space);
        Errc last{};
        for (int i = 0; i < 200'000 && last == Errc{}; ++i) {
            const Result<void*> block = region.heap().allocate(256);
            if (!block) last = block.error().code;
        }
        EXPECT_EQ(last, Errc::out_of_space);
        last = {};
        for (int i = 0; i < 4000 && last == Errc{}; ++i) {
            const Result<Pair*> made = region.construct<Pair>("o" + std::to_string(i));
            if (!made) last = made.error().code;
        }
        EXPECT_EQ(last, Errc::out_of_space);
        Region again = Region::open("r").value();
        EXPECT_EQ(again.find<Pair>("p").value()->two, 2U);
        ASSERT_TRUE(again.destroy_object<Pair>("p"));
        EXPECT_TRUE(region.construct<Pair>("q"));  // what was freed can be had again
        static_cast<void>(again.use());
        std::vector<std::string> left = folder.entries();
        EXPECT_EQ(left, (std::vector<std::string>{"filler", "r.region"}));
    }};
    EXPECT_TRUE(small.wait());
}

TEST(RegionOnAReadOnlyFileSystem, CanBeReadAndNothingElse) {
    kit::TempDomain folder;
    kit::Init fixed{[&] {
        kit::enter_namespaces(CLONE_NEWNS);
        kit::mount_tmpfs(folder.path().c_str(), std::size_t{4} << 20U);
        {
            Region region = Region::create("r", 4096).value();
            ASSERT_TRUE(region.construct<Pair>("p", Pair{.one = 1, .two = 2}));
        }
        kit::must(
            ::mount(nullptr, folder.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0,
            "remount");
        const Result<Region> made = Region::create("s", 4096);
        ASSERT_FALSE(made);
        EXPECT_FALSE(describe(made.error()).empty());
        EXPECT_FALSE(Region::open("r"));
        EXPECT_FALSE(Region::open_or_create("r", 4096));
        EXPECT_FALSE(Region::destroy("r"));
        const Region reads = Region::open("r", {.access = Access::read_only}).value();
        EXPECT_EQ(reads.find<const Pair>("p").value()->two, 2U);
    }};
    EXPECT_TRUE(fixed.wait());
}

TEST(RegionOfSysv, ExhaustedLimitsAreErrors) {
    kit::Init limited{[&] {
        kit::enter_namespaces(CLONE_NEWIPC);
        if (::access("/proc/sys/kernel/shmmni", W_OK) != 0) return;  // another user's
        kit::write_text("/proc/sys/kernel/shmmni", "1");
        const Result<Region> first = Region::create("sysv:0x1", 4096);
        ASSERT_TRUE(first);
        EXPECT_EQ(Region::create("sysv:0x2", 4096).error().code, Errc::limit_reached);
        kit::write_text("/proc/sys/kernel/shmmni", "10");
        kit::write_text("/proc/sys/kernel/shmmax", "65536");
        EXPECT_EQ(Region::create("sysv:0x2", 1U << 20U).error().code, Errc::limit_reached);
        EXPECT_EQ(Region::open("sysv:0x2").error().code, Errc::not_found);
        EXPECT_TRUE(Region::destroy("sysv:0x1").value());
    }};
    EXPECT_TRUE(limited.wait());
}

TEST(RegionErrors, NoAddressSpaceIsAnError) {
    const kit::TempDomain folder;
    {
        ASSERT_TRUE(Region::create("r", 4096));
    }
    const kit::Ending ending = kit::fork_and_run([] {
        const rlimit little{.rlim_cur = 1U << 20U, .rlim_max = 1U << 20U};
        ASSERT_EQ(::setrlimit(RLIMIT_AS, &little), 0);
        const Result<Region> opened = Region::open("r");
        EXPECT_FALSE(opened);
        const Result<Region> made = Region::create("s", std::uint64_t{1} << 30U);
        EXPECT_FALSE(made);
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(folder.entries().size(), 1U);
}

TEST(RegionErrors, AHandleThatGoesWithALockIsADeadOwner) {
    const kit::TempDomain folder;
    Region region = Region::create("r", 4096).value();
    auto* mine = region.construct<Guarded<Pair>>("p").value();
    {
        Region other = Region::open("r").value();
        auto* its = other.find<Guarded<Pair>>("p").value();
        auto access = its->lock();
        ASSERT_TRUE(access);
        using Access = Guarded<Pair>::Access;
        alignas(Access) static std::byte kept[sizeof(Access)];
        ::new (static_cast<void*>(kept)) Access{std::move(*access)};  // nobody gives it back
    }
    auto access = mine->lock(Deadline::after(std::chrono::seconds{5}));
    ASSERT_TRUE(access);
    EXPECT_TRUE(access->owner_died());
}

class DamagedRegion : public testing::Test {
protected:
    DamagedRegion() {
        Region region =
            Region::create("r", 4096, {.max_bytes = 128U << 10U, .max_objects = 32}).value();
        static_cast<void>(region.construct<Pair>("p", Pair{.one = 1, .two = 2}).value());
        static_cast<void>(region.construct<Guarded<Pair>>("g").value());
        std::ifstream file{path(), std::ios::binary};
        bytes_.assign(std::istreambuf_iterator<char>{file}, {});
    }
    [[nodiscard]] std::string path() const { return folder_.path() + "/r.region"; }
    [[nodiscard]] std::size_t content() const {
        return reinterpret_cast<const RegionLayout*>(bytes_.data())->content_offset;
    }
    void write(std::size_t at, std::uint64_t value, std::size_t bytes = 8) const {
        std::fstream file{path(), std::ios::binary | std::ios::in | std::ios::out};
        file.seekp(static_cast<std::streamoff>(at));
        file.write(reinterpret_cast<const char*>(&value), static_cast<std::streamsize>(bytes));
    }
    [[nodiscard]] std::uint64_t word(std::size_t at) const {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes_.data() + at, 8);
        return value;
    }
    // Whatever it says, it says it.
    static void open_and_use() {
        ::alarm(20);
        Result<Region> region = Region::open("r");
        if (!region) return;
        static_cast<void>(region->objects());
        if (const Result<std::span<const std::byte>> bytes = region->bytes_of("p")) {
            std::uint64_t sum = 0;
            for (const std::byte byte : *bytes) sum += std::to_integer<unsigned>(byte);
            EXPECT_LE(sum, 255 * bytes->size());
        }
        static_cast<void>(region->use());
        static_cast<void>(region->attached());
        const Deadline soon = Deadline::after(std::chrono::milliseconds{1});
        static_cast<void>(region->find<Pair>("p"));
        static_cast<void>(region->construct_until<Pair>(soon, "q"));
        const Result<void*> block = region->heap().allocate(100);
        if (block) region->heap().free(*block);
        static_cast<void>(region->discard_object("p"));
        static_cast<void>(region->discard_object("g"));
    }

    kit::TempDomain folder_;
    std::vector<char> bytes_;
};

TEST_F(DamagedRegion, ATruncatedFileIsBadLayout) {
    for (const std::size_t bytes : {bytes_.size() - 1, bytes_.size() / 2, std::size_t{4096},
                                    std::size_t{100}, std::size_t{0}}) {
        ASSERT_EQ(::truncate(path().c_str(), static_cast<off_t>(bytes)), 0);
        EXPECT_EQ(Region::open("r").error().code, Errc::bad_layout) << bytes;
        EXPECT_EQ(Region::open("r", {.access = Access::read_only}).error().code, Errc::bad_layout);
        EXPECT_EQ(Region::create("r", 4096).error().code, Errc::exists);
    }
}

TEST_F(DamagedRegion, AnotherVersionIsToldSo) {
    write(content() + offsetof(ObjectsLayout, version), 77, 4);
    EXPECT_EQ(Region::open("r").error().code, Errc::wrong_version);
    write(content() + offsetof(ObjectsLayout, version), kObjectsVersion, 4);
    EXPECT_TRUE(Region::open("r"));
    write(content() + offsetof(ObjectsLayout, magic), 77);
    EXPECT_EQ(Region::open("r").error().code, Errc::bad_layout);
}

TEST_F(DamagedRegion, EachWordScribbledOverIsNeverASignalOrAHang) {
    std::size_t words = 0;
    for (std::size_t at = 0; at + 8 <= bytes_.size(); at += 8) {
        if (word(at) == 0) continue;
        for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{0},
                                          word(at) ^ std::uint64_t{0x10101010}, word(at) << 9U}) {
            {
                std::ofstream fresh{path(), std::ios::binary | std::ios::in | std::ios::out};
                fresh.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
            }
            write(at, value);
            ++words;
            const kit::Ending ending = kit::fork_and_run(open_and_use);
            ASSERT_TRUE(ending.ok()) << "word at " << at << ", the content begins at " << content()
                                     << ": " << value << ", signal " << ending.signal;
        }
    }
    EXPECT_GT(words, 100U);
}

}  // namespace
}  // namespace stoa
