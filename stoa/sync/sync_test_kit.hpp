// What lock tests share: a table of participants and an object in memory that children share.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "stoa/life/membership.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

template <typename Object>
class SharedObject : public testing::Test {
protected:
    static constexpr std::uint32_t kPlaces = 64;
    static constexpr std::uint64_t kTable = 16384;

    SharedObject() {
        Participants::create(memory_.bytes().first(kTable), kPlaces, kPlaces).value();
        new (memory_.bytes().data() + kTable) Object;
        join();
    }
    // As opening a region does.
    void join() {
        membership_.reset();
        table_.emplace(Participants::attach(memory_.bytes().first(kTable)).value());
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        index_ = table_->join(Role::none, reserve, nullptr).value();
        membership_.emplace(memory_.bytes(), *table_, index_);
    }
    void leave() {
        membership_.reset();
        table_->leave(index_);
    }
    Object& shared() { return *reinterpret_cast<Object*>(memory_.bytes().data() + kTable); }
    // A child that joins, and then does that.
    kit::Child child(const std::function<void()>& body) {
        return kit::Child{[this, body] {
            join();
            body();
        }};
    }

    kit::TempRegion memory_{kTable + 8192};
    std::optional<Participants> table_;
    std::optional<Membership> membership_;
    std::uint32_t index_ = 0;
};

}  // namespace stoa
