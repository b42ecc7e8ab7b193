// A queue in the memory of one process, with the calls that a mailbox has for loops.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/wait/waitable.hpp"

namespace stoa {

class Queue {
public:
    explicit Queue(std::size_t capacity) : capacity_{capacity} {}

    Result<std::string> try_receive() {
        if (waiting_.empty()) return fail(Errc::empty, "receive");
        std::string first = std::move(waiting_.front());
        waiting_.pop_front();
        touch();
        return first;
    }
    Result<void> try_send(const std::string& text) {
        if (waiting_.size() == capacity_) return fail(Errc::full, "send");
        waiting_.push_back(text);
        touch();
        return {};
    }
    Waitable readable() {
        return std::make_shared<Side>(*this, [this] { return !waiting_.empty(); });
    }
    Waitable writable() {
        return std::make_shared<Side>(*this, [this] { return waiting_.size() < capacity_; });
    }

private:
    class Side final : public WaitSource {
    public:
        Side(Queue& queue, std::function<bool()> test) : queue_{queue}, test_{std::move(test)} {}
        bool ready() noexcept override { return test_(); }
        void arm() noexcept override {}
        void disarm() noexcept override {}
        Result<void> attach(Touched& entry) noexcept override {
            entry_ = &entry;
            queue_.touched_.push_back(entry_);
            return {};
        }
        void detach() noexcept override { std::erase(queue_.touched_, entry_); }

    private:
        Queue& queue_;
        std::function<bool()> test_;
        Touched* entry_ = nullptr;
    };
    void touch() {
        for (Touched* const entry : touched_) entry->touch();
    }

    std::size_t capacity_;
    std::deque<std::string> waiting_;
    std::vector<Touched*> touched_;
};

}  // namespace stoa
