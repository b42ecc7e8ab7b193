// How far the head reads ahead of the oldest missing result: this bounds everything it holds.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

namespace stoa::cli::farm {

struct WindowLimits {
    std::uint64_t tasks;      // never more than these between the oldest missing one
                              // and the newest
    std::uint64_t few_tasks;  // these are let in however big they are, so that all
                              // workers work
    std::uint64_t bytes;      // of input; beyond few_tasks
};

// A task's bytes and where they lie in the spool, from when it is cut until its result is out.
struct TaskExtent {
    std::uint64_t bytes = 0;
    std::uint64_t spool_offset = 0;
    std::uint64_t spool_bytes = 0;  // 0: it is not in the spool
};

// Tasks enter and leave in order. One thread lets them in, another one out.
class Window {
public:
    explicit Window(const WindowLimits& limits) : limits_{limits}, extents_(limits.tasks) {}

    // Waits until there is room.
    void enter(const TaskExtent& extent) {
        std::unique_lock lock{mutex_};
        room_.wait(lock, [&] { return has_room(extent.bytes); });
        extents_[entered_++ % limits_.tasks] = extent;
        bytes_ += extent.bytes;
    }
    TaskExtent leave() {
        const std::lock_guard lock{mutex_};
        const TaskExtent extent = extents_[left_++ % limits_.tasks];
        bytes_ -= extent.bytes;
        room_.notify_one();
        return extent;
    }

private:
    [[nodiscard]] bool has_room(std::uint64_t bytes) const {
        const std::uint64_t tasks = entered_ - left_;
        if (tasks >= limits_.tasks) return false;
        return tasks < limits_.few_tasks || bytes_ + bytes <= limits_.bytes;
    }

    WindowLimits limits_;
    std::mutex mutex_;
    std::condition_variable room_;
    std::vector<TaskExtent> extents_;
    std::uint64_t entered_ = 0;
    std::uint64_t left_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace stoa::cli::farm
