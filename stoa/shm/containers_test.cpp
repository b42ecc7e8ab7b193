// Boost.Container's containers within a heap, in two mappings and two processes. Compiled with -O1,
// -O2 and -O3: pointers to other mappings are what optimisers get wrong.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <boost/container/deque.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/container/list.hpp>
#include <boost/container/map.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>

#include <vector>

#include "stoa/shm/allocator.hpp"
#include "stoa/shm/heap_test_kit.hpp"

namespace stoa {
namespace {

namespace bc = boost::container;

using Text = bc::basic_string<char, std::char_traits<char>, Allocator<char>>;
template <typename T>
using Vector = bc::vector<T, Allocator<T>>;
template <typename K, typename V>
using Pairs = Allocator<std::pair<const K, V>>;

struct Things {
    explicit Things(const Heap& heap)
        : numbers{Allocator<int>{heap}},
          texts{Allocator<Text>{heap}},
          by_number{std::less<>{}, Pairs<int, Text>{heap}},
          flat{std::less<>{}, Allocator<std::pair<int, int>>{heap}},
          line{Allocator<int>{heap}},
          chain{Allocator<Text>{heap}} {}

    Vector<int> numbers;
    Vector<Text> texts;
    bc::map<int, Text, std::less<>, Pairs<int, Text>> by_number;
    bc::flat_map<int, int, std::less<>, Allocator<std::pair<int, int>>> flat;
    bc::deque<int, Allocator<int>> line;
    bc::list<Text, Allocator<Text>> chain;
};

Text text_of(const Heap& heap, int i) {
    const std::string text =
        "a text that is too long to lie within its string: " + std::to_string(i);
    return Text{text.c_str(), Allocator<char>{heap}};
}

void fill(Things& things, const Heap& heap, int from, int to) {
    for (int i = from; i < to; ++i) {
        things.numbers.push_back(i);
        things.texts.push_back(text_of(heap, i));
        things.by_number.emplace((i * 7919) % 10'007, text_of(heap, i));
        things.flat[(i * 31) % 1009] += i;
        if (i % 2 == 0) {
            things.line.push_back(i);
        } else {
            things.line.push_front(i);
        }
        things.chain.insert(things.chain.begin(), text_of(heap, i));
    }
}

std::uint64_t value(int n) {
    return static_cast<std::uint64_t>(n);
}
std::uint64_t value(const Text& t) {
    return t.size() + static_cast<unsigned char>(t.back());
}

// Reads all of it; what it says is the same in each mapping.
std::uint64_t sum(const Things& things) {
    std::uint64_t total = 0;
    for (const int n : things.numbers) total = total * 3 + value(n);
    for (const Text& t : things.texts) total = total * 3 + value(t);
    for (const auto& [n, t] : things.by_number) total = total * 3 + value(n) + value(t);
    for (const auto& [n, m] : things.flat) total = total * 3 + value(n) + value(m);
    for (const int n : things.line) total = total * 3 + value(n);
    for (const Text& t : things.chain) total = total * 3 + value(t);
    return total;
}

void shrink(Things& things) {
    things.numbers.erase(things.numbers.begin() + 10, things.numbers.begin() + 20);
    things.numbers.shrink_to_fit();
    things.texts.erase(things.texts.begin());
    things.by_number.erase(things.by_number.begin());
    things.flat.erase(things.flat.begin());
    things.line.pop_front();
    things.chain.reverse();
    things.chain.sort();
    things.chain.pop_back();
}

class Containers : public HeapTest {
protected:
    Containers() : HeapTest{4 << 20} {
        things_ = new (heap().allocate(sizeof(Things)).value()) Things{heap()};
    }
    ~Containers() override {
        things_->~Things();
        heap().free(things_);
        EXPECT_EQ(heap().bytes_in_use(), 0U);
    }
    Things& things() { return *things_; }

private:
    Things* things_;
};

TEST_F(Containers, HoldWhatTheStandardsOnesHold) {
    fill(things(), heap(), 0, 500);
    ASSERT_EQ(things().numbers.size(), 500U);
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(things().numbers[static_cast<std::size_t>(i)], i);
        EXPECT_EQ(things().by_number.at((i * 7919) % 10'007), text_of(heap(), i));
    }
    EXPECT_EQ(things().line.front(), 499);
    EXPECT_EQ(things().line.back(), 498);
    shrink(things());
    EXPECT_EQ(things().numbers[10], 20);
    EXPECT_TRUE(std::is_sorted(things().chain.begin(), things().chain.end()));
    Vector<int> moved{std::move(things().numbers)};
    EXPECT_EQ(moved.size(), 490U);
    things().numbers.swap(moved);
    Vector<int> copied{things().numbers, Allocator<int>{heap()}};
    EXPECT_EQ(copied, things().numbers);
}

TEST_F(Containers, ReadTheSameInAnotherMapping) {
    fill(things(), heap(), 0, 400);
    // The very pages, at another address.
    const std::span<std::byte> bytes = memory_.bytes();
    void* const other = ::mremap(bytes.data(), 0, bytes.size(), MREMAP_MAYMOVE);
    ASSERT_NE(other, MAP_FAILED);
    ASSERT_NE(other, bytes.data());
    const std::span<std::byte> there{static_cast<std::byte*>(other), bytes.size()};
    {
        Participants table = Participants::attach(there.first(kTable)).value();
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        const std::uint32_t index = table.join(Role::none, reserve, nullptr).value();
        const std::unique_ptr<Heap> heap_there =
            Heap::attach(there.subspan(kTable), nullptr, nullptr).value();
        const Membership membership{there, table, index, heap_there.get()};
        auto& things_there = *reinterpret_cast<Things*>(
            there.data() + (reinterpret_cast<std::byte*>(&things()) - bytes.data()));
        EXPECT_EQ(sum(things_there), sum(things()));
        fill(things_there, *heap_there, 400, 800);
        shrink(things_there);
        EXPECT_EQ(sum(things_there), sum(things()));
        fill(things(), heap(), 800, 900);
        EXPECT_EQ(sum(things_there), sum(things()));
        shrink(things());
        EXPECT_EQ(sum(things_there), sum(things()));
        table.leave(index);
    }
    EXPECT_EQ(::munmap(other, bytes.size()), 0);
}

TEST_F(Containers, AreFilledByOneProcessAndEmptiedByAnother) {
    kit::Child other = child([this] { fill(things(), heap(), 0, 300); });
    EXPECT_TRUE(other.wait().ok());
    fill(things(), heap(), 300, 600);
    Things mirror{heap()};
    fill(mirror, heap(), 0, 600);
    EXPECT_EQ(sum(things()), sum(mirror));
    kit::Child again = child([this] {
        while (!things().chain.empty()) things().chain.pop_front();
        things().by_number.clear();
        things().texts.clear();
        things().texts.shrink_to_fit();
    });
    EXPECT_TRUE(again.wait().ok());
    EXPECT_TRUE(things().by_number.empty());
    EXPECT_EQ(things().numbers.size(), 600U);
}

TEST_F(Containers, AFullHeapThrowsWithTheReason) {
    Vector<int> huge{Allocator<int>{heap()}};
    try {
        huge.reserve(5 << 20);
        FAIL();
    } catch (const std::bad_alloc& error) {
        EXPECT_NE(std::string_view{error.what()}.find("too_big"), std::string_view::npos)
            << error.what();
    }
    EXPECT_THROW(for (;;) things().chain.push_back(text_of(heap(), 1)), HeapError);
    things().chain.clear();
    std::vector<int, Allocator<int>> standard{Allocator<int>{heap()}};  // takes fancy pointers too
    for (int i = 0; i < 1000; ++i) standard.push_back(i);
    EXPECT_EQ(standard[999], 999);
}

}  // namespace
}  // namespace stoa
