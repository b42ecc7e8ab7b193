// Rival: boost::interprocess::message_queue, which sleeps, or is asked again and again.
#include <boost/interprocess/ipc/message_queue.hpp>

#include "bench/kit/crowd.hpp"
#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

namespace ipc = boost::interprocess;

class BoostMqRaw {
public:
    BoostMqRaw(const std::string& out, const std::string& in, bool polls)
        : out_{std::make_unique<ipc::message_queue>(ipc::open_only, out.c_str())},
          in_{std::make_unique<ipc::message_queue>(ipc::open_only, in.c_str())},
          polls_{polls} {}

    void put(const std::byte* at, std::size_t bytes) {
        if (!polls_) return out_->send(at, bytes, 0);
        while (!out_->try_send(at, bytes, 0)) cpu_pause();
    }
    std::size_t get(std::byte* at, std::size_t capacity) {
        ipc::message_queue::size_type size = 0;
        unsigned priority = 0;
        if (!polls_) {
            in_->receive(at, capacity, size, priority);
        } else {
            while (!in_->try_receive(at, capacity, size, priority)) cpu_pause();
        }
        return size;
    }

private:
    std::unique_ptr<ipc::message_queue> out_;
    std::unique_ptr<ipc::message_queue> in_;
    bool polls_;
};

class BoostMq {
public:
    static bool supports(const Case&) { return true; }
    explicit BoostMq(const Case& c)
        : bytes_{c.bytes},
          flow_{c.is_flow()},
          polls_{!c.is_flow() && c.waiting() == Waiting::spin},
          there_{c.id + "-there", c},
          back_{c.id + "-back", c} {}
    CopyingEnd<BoostMqRaw> connect(const Role& role) {
        const bool swapped = !flow_ && !is_first(role);
        const std::string& out = swapped ? back_.name : there_.name;
        const std::string& in = flow_ || swapped ? there_.name : back_.name;
        return {BoostMqRaw{out, in, polls_}, bytes_};
    }

private:
    struct Named {
        std::string name;
        Named(std::string text, const Case& c) : name{std::move(text)} {
            const std::size_t count = std::clamp<std::size_t>(c.ring_bytes() / c.bytes, 4, 4096);
            ipc::message_queue{ipc::create_only, name.c_str(), count, c.bytes};
        }
        Named(const Named&) = delete;
        Named& operator=(const Named&) = delete;
        ~Named() { ipc::message_queue::remove(name.c_str()); }
    };
    std::size_t bytes_;
    bool flow_;
    bool polls_;
    Named there_;
    Named back_;
};

class NamedQueue {
public:
    explicit NamedQueue(std::unique_ptr<ipc::message_queue> queue) : queue_{std::move(queue)} {}
    void put(std::uint64_t number) { queue_->send(&number, sizeof number, 0); }
    std::uint64_t get() {
        std::uint64_t message[8] = {};
        ipc::message_queue::size_type size = 0;
        unsigned priority = 0;
        if (!queue_->try_receive(message, sizeof message, size, priority)) return UINT64_MAX;
        return message[0];
    }

private:
    std::unique_ptr<ipc::message_queue> queue_;
};

// Many small ones. Boost sets the size of the file and reserves nothing.
class BoostCrowd {
public:
    static bool supports(const Case&) { return true; }
    explicit BoostCrowd(const Case& c) : prefix_{c.id + "-"}, bytes_{c.bytes} {}
    BoostCrowd(const BoostCrowd&) = delete;
    BoostCrowd& operator=(const BoostCrowd&) = delete;
    ~BoostCrowd() {
        for (unsigned i = 0; i < kCrowd; ++i) ipc::message_queue::remove(name(i).c_str());
    }
    NamedQueue create(unsigned i) {
        return NamedQueue{std::make_unique<ipc::message_queue>(ipc::create_only, name(i).c_str(),
                                                               kCrowdMessages, bytes_)};
    }
    NamedQueue open(unsigned i) {
        return NamedQueue{std::make_unique<ipc::message_queue>(ipc::open_only, name(i).c_str())};
    }

private:
    [[nodiscard]] std::string name(unsigned i) const { return prefix_ + std::to_string(i); }
    std::string prefix_;
    std::size_t bytes_;
};

}  // namespace

void add_boost_mq(Subjects& subjects) {
    subjects.list.push_back(either(subject_of<BoostMq>("boost_mq", Kind::rival),
                                   crowd_subject_of<BoostCrowd>("boost_mq", Kind::rival)));
}

}  // namespace stoa::bench
