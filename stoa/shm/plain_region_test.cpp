#include "stoa/shm/plain_region.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "stoa/shm/address.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/shm/region_image.hpp"
#include "stoa/sys/sysv_segment.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

// A name for this test alone, on each back end; whatever has it goes with the test.
class BackEnds : public testing::TestWithParam<const char*> {
protected:
    BackEnds() {
        const std::string own = "stoa-test-" + std::to_string(::getpid());
        const std::string scheme = GetParam();
        if (scheme == "posix") address_ = "posix:/" + own;
        if (scheme == "shm") address_ = own;
        if (scheme == "file") address_ = "file:" + folder_.path() + "/" + own;
        if (scheme == "sysv") address_ = "sysv:" + own;
        if (scheme == "key") address_ = "sysv:0x7" + std::to_string(::getpid() % 100000);
        forget();
    }
    ~BackEnds() override { forget(); }
    void forget() const {
        static_cast<void>(PlainRegion::destroy(address_));
        static_cast<void>(Region::destroy(address_));
    }
    [[nodiscard]] bool is_sysv() const { return address_.starts_with("sysv:"); }

    kit::TempDomain folder_;
    std::string address_;
};

TEST_P(BackEnds, PlainBytesAreSharedAndKeptByWhoHasThem) {
    PlainRegion one = PlainRegion::create(address_, 10000).value();
    EXPECT_EQ(PlainRegion::create(address_, 10000).error().code, Errc::exists);
    PlainRegion two = PlainRegion::open(address_).value();
    EXPECT_EQ(two.bytes().size(), 10000U);
    EXPECT_NE(one.bytes().data(), two.bytes().data());
    one.bytes()[9999] = std::byte{7};
    EXPECT_EQ(two.bytes()[9999], std::byte{7});
    // Remove, then detach.
    ASSERT_TRUE(PlainRegion::destroy(address_));
    EXPECT_EQ(PlainRegion::open(address_).error().code, Errc::not_found);
    two.bytes()[0] = std::byte{1};
    EXPECT_EQ(one.bytes()[0], std::byte{1});
}

TEST_P(BackEnds, DetachThenRemove) {
    {
        const PlainRegion region = PlainRegion::create(address_, 4096).value();
    }
    EXPECT_TRUE(PlainRegion::open(address_));
    EXPECT_TRUE(PlainRegion::destroy(address_));
    EXPECT_EQ(PlainRegion::destroy(address_).error().code, Errc::not_found);
}

TEST_P(BackEnds, PlainReadOnlyReallyIs) {
    const PlainRegion region = PlainRegion::create(address_, 4096).value();
    const kit::Ending ending = kit::fork_and_run([this] {
        ::signal(SIGSEGV, SIG_DFL);  // AddressSanitizer has a handler
        const PlainRegion mine = PlainRegion::open(address_, Access::read_only).value();
        mine.bytes()[0] = std::byte{1};
    });
    EXPECT_EQ(ending.signal, SIGSEGV);
}

TEST_P(BackEnds, ARegionOfObjectsWorksOnEach) {
    {
        Region one = Region::create(address_, 100000).value();
        EXPECT_EQ(one.segment() >= 0, is_sysv());
        *one.construct<std::uint64_t>("n").value() = 5;
        Region two = Region::open(address_).value();
        EXPECT_EQ(*two.find<std::uint64_t>("n").value(), 5U);
        EXPECT_EQ(two.attached().size(), 2U);
        EXPECT_EQ(Region::create(address_, 4096).error().code, Errc::exists);
        EXPECT_TRUE(one.flush());
    }
    {
        Region again = Region::open_or_create(address_, 4096).value();
        EXPECT_EQ(*again.find<std::uint64_t>("n").value(), 5U);
        EXPECT_EQ(again.attached().size(), 1U);
        // Remove, then detach.
        EXPECT_TRUE(Region::destroy(address_).value());
        EXPECT_EQ(Region::open(address_).error().code, Errc::not_found);
        *again.find<std::uint64_t>("n").value() = 6;
    }
    EXPECT_EQ(Region::open(address_).error().code, Errc::not_found);
    EXPECT_TRUE(Region::create(address_, 4096, {.prefault = true}));
}

TEST_P(BackEnds, PlainBytesAreNoRegionOfObjects) {
    const PlainRegion region = PlainRegion::create(address_, 100000).value();
    const Result<Region> opened = Region::open(address_);
    EXPECT_EQ(opened.error().code, Errc::bad_layout);
    EXPECT_EQ(Region::create(address_, 4096).error().code, Errc::exists);
    EXPECT_FALSE(Region::destroy(address_));
    EXPECT_TRUE(PlainRegion::open(address_));
}

TEST_P(BackEnds, ADeadHolderIsSwept) {
    Region region = Region::create(address_, 4096).value();
    const kit::Ending ending = kit::fork_and_run([this] {
        const Region mine = Region::open(address_).value();
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    EXPECT_EQ(region.sweep(), 1U);
    EXPECT_EQ(region.attached().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Each, BackEnds, testing::Values("shm", "posix", "file", "sysv", "key"),
                         [](const auto& of) { return std::string{of.param}; });

// --- what is particular to one ------------------------------------------------------------------

std::string own_name() {
    return "stoa-test-" + std::to_string(::getpid());
}

TEST(MemfdRegion, IsPassedOnAsADescriptor) {
    Region one = Region::create("memfd:", 4096).value();
    *one.construct<std::uint64_t>("n").value() = 8;
    const kit::Ending ending = kit::fork_and_run([&] {
        Region mine = Region::open("memfd:" + std::to_string(one.descriptor())).value();
        ++*mine.find<std::uint64_t>("n").value();
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(*one.find<std::uint64_t>("n").value(), 9U);
    EXPECT_EQ(Region::open("memfd:987").error().code, Errc::not_found);
    EXPECT_EQ(Region::open("memfd:").error().code, Errc::bad_name);
    EXPECT_EQ(Region::create("memfd:3", 4096).error().code, Errc::bad_name);
}

TEST(PosixRegion, IsOneWithPythonsSharedMemory) {
    const std::string name = own_name() + "-py";
    struct Removed {
        std::string address;
        ~Removed() { static_cast<void>(PlainRegion::destroy(address)); }
    } const removed{"posix:/" + name};
    // Ours, read and written by Python.
    const PlainRegion ours = PlainRegion::create("posix:/" + name, 4096).value();
    std::memcpy(ours.bytes().data(), "from stoa", 9);
    const std::string script =
        "from multiprocessing import shared_memory, resource_tracker as t\n"
        "m = shared_memory.SharedMemory(name='" +
        name +
        "')\n"
        "t.unregister(m._name, 'shared_memory')\n"
        "assert bytes(m.buf[:9]) == b'from stoa', bytes(m.buf[:9])\n"
        "m.buf[100:105] = b'there'\n"
        "m.close()\n";
    kit::Finished ran = kit::run({"/usr/bin/env", "python3", "-c", script});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(std::memcmp(ours.bytes().data() + 100, "there", 5), 0);
    ASSERT_TRUE(PlainRegion::destroy("posix:/" + name));
    // Python's, read and written by us.
    const std::string makes =
        "from multiprocessing import shared_memory, resource_tracker as t\n"
        "m = shared_memory.SharedMemory(name='" +
        name +
        "', create=True, size=5000)\n"
        "t.unregister(m._name, 'shared_memory')\n"
        "m.buf[0:4] = b'mine'\n"
        "m.close()\n";
    ran = kit::run({"/usr/bin/env", "python3", "-c", makes});
    EXPECT_EQ(ran.status, 0) << ran.err;
    const PlainRegion theirs = PlainRegion::open("posix:/" + name).value();
    EXPECT_EQ(std::memcmp(theirs.bytes().data(), "mine", 4), 0);
}

TEST(SysvRegion, IsOneWithPerlsAndSeenByIpcs) {
    const std::string address = "sysv:0x7e57" + std::to_string(::getpid() % 10000);
    struct Removed {
        std::string address;
        ~Removed() { static_cast<void>(PlainRegion::destroy(address)); }
    } const removed{address};
    static_cast<void>(PlainRegion::destroy(address));
    const PlainRegion ours = PlainRegion::create(address, 4096).value();
    std::memcpy(ours.bytes().data(), "from stoa", 9);
    const std::string id = std::to_string(ours.segment());
    kit::Finished ran = kit::run({"/usr/bin/env", "perl", "-e",
                                  "shmread(" + id +
                                      ", $b, 0, 9) or die $!; die $b if $b ne 'from stoa';"
                                      "shmwrite(" +
                                      id + ", 'there', 100, 5) or die $!;"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(std::memcmp(ours.bytes().data() + 100, "there", 5), 0);
    ran = kit::run({"/usr/bin/ipcs", "-m", "-i", id});
    EXPECT_NE(ran.out.find("bytes=4096"), std::string::npos) << ran.out;
    ran = kit::run({"/usr/bin/ipcrm", "-m", id});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(PlainRegion::open(address).error().code, Errc::not_found);
    // Perl's, found by its id.
    ran = kit::run({"/usr/bin/env", "perl", "-e",
                    "$i = shmget(0, 8192, 0600 | 01000); defined $i or die $!;"
                    "shmwrite($i, 'mine', 0, 4) or die $!; print $i;"});
    ASSERT_EQ(ran.status, 0) << ran.err;
    const std::string theirs_at = "sysv:#" + ran.out;
    const PlainRegion theirs = PlainRegion::open(theirs_at).value();
    EXPECT_EQ(std::memcmp(theirs.bytes().data(), "mine", 4), 0);
    EXPECT_EQ(theirs.bytes().size(), 8192U);
    EXPECT_TRUE(PlainRegion::destroy(theirs_at));
}

TEST(SysvRegion, OneThatNobodyWillFinishIsRemovedByTheNext) {
    const std::string address = "sysv:" + own_name() + "-half";
    static_cast<void>(Region::destroy(address));
    const std::int32_t key = RegionAddress::parse(address).value().key;
    const kit::Ending ending = kit::fork_and_run(
        [key] { static_cast<void>(sys::make_segment(key, 1U << 20U, 0700).value()); });
    ASSERT_TRUE(ending.ok());
    EXPECT_EQ(Region::open(address).error().code, Errc::not_found);
    // One whose maker lives is left alone.
    const auto patience = std::exchange(g_segment_patience, std::chrono::milliseconds{1});
    const std::int32_t id = sys::make_segment(key, 1U << 20U, 0700).value();
    EXPECT_EQ(Region::create(address, 4096).error().code, Errc::exists);
    EXPECT_EQ(Region::open(address).error().code, Errc::in_use);
    g_segment_patience = patience;
    ASSERT_TRUE(sys::remove_segment(id));
    EXPECT_TRUE(Region::create(address, 4096));
    EXPECT_TRUE(Region::destroy(address));
}

TEST(SysvRegion, DoesNotGrow) {
    EXPECT_EQ(Region::create("sysv:" + own_name(), 4096, {.max_bytes = 1U << 20U}).error().code,
              Errc::not_supported);
}

TEST(Addresses, AreCheckedAndSaidInFull) {
    const auto text = [](std::string_view address) {
        const Result<RegionAddress> parsed = RegionAddress::parse(address);
        return parsed ? parsed->text() : std::string{name(parsed.error().code)};
    };
    EXPECT_EQ(text("a"), "shm:a");
    EXPECT_EQ(text("posix:a"), "posix:/a");
    EXPECT_EQ(text("posix:/a"), "posix:/a");
    EXPECT_EQ(text("file:b/c"), "file:b/c");
    EXPECT_EQ(text("file:/tmp/c"), "file:/tmp/c");
    EXPECT_EQ(text("sysv:0x12"), "sysv:0x12");
    EXPECT_EQ(text("sysv:#3"), "sysv:#3");
    for (const char* bad :
         {"", "shm:", "shm:a/b", "posix:", "posix:/a/b", "posix:..", "memfd:x", "memfd:-1",
          "file:", "file:a/", "sysv:", "sysv:0x", "sysv:0xg", "sysv:0x0", "sysv:#", "sysv:#-1",
          "sysv:#1x", "web:a", "sysv:0x123456789"}) {
        EXPECT_EQ(text(bad), "bad_name") << bad;
    }
}

}  // namespace
}  // namespace stoa
