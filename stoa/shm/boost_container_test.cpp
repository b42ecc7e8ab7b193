#include "stoa/shm/boost_container.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/container/deque.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/container/list.hpp>
#include <boost/container/map.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <csignal>

#include "stoa/shm/region.hpp"
#include "stoa/sync/guarded.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

namespace bc = boost::container;

using Text = bc::basic_string<char, std::char_traits<char>, Allocator<char>>;
using Numbers = bc::vector<int, Allocator<int>>;
using Map = bc::map<int, Text, std::less<>, Allocator<std::pair<const int, Text>>>;
using FlatMap = bc::flat_map<int, int, std::less<int>, Allocator<std::pair<int, int>>>;
using Line = bc::deque<int, Allocator<int>>;
using Chain = bc::list<int, Allocator<int>>;

class ContainersOfARegion : public testing::Test {
protected:
    template <typename T>
    Allocator<T> from() {
        return Allocator<T>{region_.heap()};
    }
    [[nodiscard]] std::string type_of(const std::string& name) const {
        for (const ObjectInfo& object : region_.objects()) {
            if (object.name == name) return object.type;
        }
        return "none";
    }

    kit::TempDomain folder_;
    Region region_ = Region::create("r", 65536).value();
};

TEST_F(ContainersOfARegion, TheirTypeNamesWhatTheyHoldAndTheVersionOfBoost) {
    ASSERT_TRUE(region_.construct<Map>("map", std::less<>{}, from<std::pair<const int, Text>>()));
    ASSERT_TRUE(region_.construct<Numbers>("numbers", from<int>()));
    ASSERT_TRUE(region_.construct<Line>("line", from<int>()));
    ASSERT_TRUE(region_.construct<Chain>("chain", from<int>()));
    ASSERT_TRUE(region_.construct<FlatMap>("flat", std::less<int>{}, from<std::pair<int, int>>()));
    const std::string version = "boost " BOOST_LIB_VERSION " ";
    EXPECT_EQ(type_of("numbers").substr(0, version.size() + 10), version + "vector i32");
    EXPECT_NE(type_of("map").find(version + "map i32 " + version + "string char:"),
              std::string::npos)
        << type_of("map");
    EXPECT_EQ(region_.find<Line>("chain").error().code, Errc::wrong_type);
    for (const char* name : {"map", "numbers", "line", "chain", "flat"}) {
        EXPECT_TRUE(region_.discard_object(name));
    }
}

TEST_F(ContainersOfARegion, AreSharedAndGiveAllBack) {
    auto* texts = region_
                      .construct<Guarded<Map>>(
                          "texts", Map{std::less<>{}, from<std::pair<const int, Text>>()})
                      .value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("r").value();
        auto access = mine.find<Guarded<Map>>("texts").value()->lock().value();
        for (int i = 0; i < 100; ++i) {
            const Text text{"a text that is longer than what lies within a string",
                            Allocator<char>{mine.heap()}};
            access->emplace(i, text);
        }
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(texts->lock().value()->size(), 100U);
    EXPECT_EQ(texts->lock().value()->at(7).substr(0, 6), "a text");
    EXPECT_EQ(region_.use().leaked_blocks, 0U);
    ASSERT_TRUE(region_.destroy_object<Guarded<Map>>("texts"));
    EXPECT_EQ(region_.use().in_use, 0U);
}

// A death in the middle of an insertion: the next one is told, starts anew, and nothing leaks.
TEST_F(ContainersOfARegion, ADeathInTheMiddleOfAnInsertionLeaksNothing) {
    using Kept = Guarded<Map>;
    auto* kept =
        region_.construct<Kept>("kept", Map{std::less<>{}, from<std::pair<const int, Text>>()})
            .value();
    const kit::Ending ending = kit::fork_and_run([] {
        Region mine = Region::open("r").value();
        auto access = mine.find<Kept>("kept").value()->lock().value();
        access->emplace(
            1, Text{"the first of two texts, and not a short one", Allocator<char>{mine.heap()}});
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    {
        auto access = kept->lock().value();
        EXPECT_TRUE(access.owner_died());
        access.repair([](Map& map) { map.clear(); });
    }
    EXPECT_EQ(region_.use().leaked_blocks, 0U);
    ASSERT_TRUE(region_.destroy_object<Kept>("kept"));
    EXPECT_EQ(region_.use().in_use, 0U);
}

}  // namespace
}  // namespace stoa
