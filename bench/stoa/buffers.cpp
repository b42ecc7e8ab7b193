// Many small buffers in one region.
#include <cstdio>
#include <optional>

#include "bench/kit/crowd.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/region.hpp"

namespace stoa::bench {

namespace {

using Message = Value<64>;

class InRegion {
public:
    explicit InRegion(stoa::Buffer<Message>* buffer) : buffer_{buffer} {}
    void put(std::uint64_t number) {
        Message message{};
        fill_payload<8>(message.bytes.data(), number);
        need(buffer_->send(message));
    }
    std::uint64_t get() {
        const Message message = need(buffer_->try_receive());
        return first_word(message.bytes.data());
    }

private:
    stoa::Buffer<Message>* buffer_;
};

class Buffers {
public:
    static bool supports(const Case& c) { return c.bytes == sizeof(Message); }
    explicit Buffers(const Case& c) : address_{"posix:/" + c.id} {
        made_.emplace(need(Region::create(address_, kRegionBytes, {.max_bytes = kRegionBytes})));
    }
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;
    ~Buffers() { static_cast<void>(Region::destroy(address_)); }

    InRegion create(unsigned i) {
        const Name name{i};
        return InRegion{
            need(region().construct<stoa::Buffer<Message>>(name.text, bounded(kBufferMessages)))};
    }
    InRegion open(unsigned i) {
        const Name name{i};
        return InRegion{need(region().find<stoa::Buffer<Message>>(name.text))};
    }

private:
    static constexpr std::uint64_t kRegionBytes = 8U << 20U;
    static constexpr std::uint32_t kBufferMessages = 16;

    struct Name {
        explicit Name(unsigned i) { std::snprintf(text, sizeof text, "box-%u", i); }
        char text[24];
    };
    // Each process has a handle of its own; the first call opens it.
    Region& region() {
        if (!mine_) mine_.emplace(need(Region::open(address_)));
        return *mine_;
    }

    std::string address_;
    std::optional<Region> made_;  // before the fork
    std::optional<Region> mine_;
};

}  // namespace

Subject stoa_buffers() {
    return crowd_subject_of<Buffers>("stoa_buffers", Kind::stoa);
}

}  // namespace stoa::bench
