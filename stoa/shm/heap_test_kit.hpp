// What heap tests share: a table of participants and a heap in memory that children share.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>

#include "stoa/life/membership.hpp"
#include "stoa/shm/heap.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

class HeapTest : public testing::Test {
protected:
    static constexpr std::uint32_t kPlaces = 64;
    static constexpr std::uint64_t kTable = 16384;

    explicit HeapTest(std::uint64_t bytes = std::uint64_t{1} << 20U) : memory_{kTable + bytes} {
        Participants::create(memory_.bytes().first(kTable), kPlaces, kPlaces).value();
        Heap::create(heap_memory(), true).value();
        join();
    }
    [[nodiscard]] std::span<std::byte> heap_memory() const {
        return memory_.bytes().subspan(kTable);
    }
    // As opening a region does.
    void join() {
        membership_.reset();
        if (joined_ == ::getpid()) table_->leave(index_);
        joined_ = ::getpid();
        table_.emplace(Participants::attach(memory_.bytes().first(kTable)).value());
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        index_ = table_->join(Role::none, reserve, nullptr).value();
        heap_ = Heap::attach(heap_memory(), nullptr, nullptr).value();
        membership_.emplace(memory_.bytes(), *table_, index_, heap_.get());
    }
    // A child that joins, and then does that.
    kit::Child child(const std::function<void()>& body) {
        return kit::Child{[this, body] {
            join();
            body();
        }};
    }
    [[nodiscard]] Heap& heap() { return *heap_; }

    kit::TempRegion memory_;
    std::optional<Participants> table_;
    std::unique_ptr<Heap> heap_;
    std::optional<Membership> membership_;
    std::uint32_t index_ = 0;
    pid_t joined_ = 0;
};

}  // namespace stoa
