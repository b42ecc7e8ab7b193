// Limit `arena`: small channels in one piece of memory that is mapped already: the next bytes of
// it, cleared as far as they must be, and a name in a hash table; then found there by another
// process. Nobody dies, nothing is ever given back.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <string_view>

#include "bench/kit/crowd.hpp"
#include "bench/limits/limits.hpp"

namespace stoa::bench {

namespace {

constexpr std::size_t kChannelBytes = 3584;  // header, slots, 16 messages of 64 bytes and some more
constexpr std::size_t kHeadBytes = 832;      // what must be zero in the beginning
constexpr std::size_t kNames = 4096;         // four times as many as channels

struct Channel {
    Atomic<std::uint64_t> first;
};

struct Name {
    Atomic<std::uint64_t> channel;  // where it is; 0: none
    char text[56];
};

struct Arena {
    Atomic<std::uint64_t> used;
    Name names[kNames];
};

class Open {
public:
    explicit Open(Channel* channel) : channel_{channel} {}
    void put(std::uint64_t number) { channel_->first.store(number, kRelease); }
    std::uint64_t get() { return channel_->first.load(kAcquire); }

private:
    Channel* channel_;
};

class Channels {
public:
    static bool supports(const Case&) { return true; }
    explicit Channels(const Case&) {
        void* const at =
            mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) throw Unavailable{"mmap"};
        arena_ = static_cast<Arena*>(at);
        arena_->used.store((sizeof(Arena) + 63) / 64 * 64, kRelease);
    }
    Channels(const Channels&) = delete;
    Channels& operator=(const Channels&) = delete;
    ~Channels() { munmap(arena_, kBytes); }

    Open create(unsigned i) {
        char text[56];
        Name& name = find(name_of(i, text));
        const std::uint64_t at = arena_->used.fetch_add(kChannelBytes, kRelaxed);
        std::memset(static_cast<void*>(channel(at)), 0, kHeadBytes);
        std::memcpy(name.text, text, sizeof text);
        name.channel.store(at, kRelease);
        return Open{channel(at)};
    }
    Open open(unsigned i) {
        char text[56];
        return Open{channel(find(name_of(i, text)).channel.load(kAcquire))};
    }

private:
    static constexpr std::size_t kBytes = sizeof(Arena) + 64 + kCrowd * kChannelBytes;

    static std::string_view name_of(unsigned i, char (&text)[56]) {
        std::memset(text, 0, sizeof text);
        return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "box-%u", i))};
    }
    [[nodiscard]] Channel* channel(std::uint64_t at) const {
        return reinterpret_cast<Channel*>(reinterpret_cast<std::byte*>(arena_) + at);
    }
    // Where it is, or where it is to be.
    [[nodiscard]] Name& find(std::string_view text) const {
        for (std::size_t i = std::hash<std::string_view>{}(text);; ++i) {
            Name& name = arena_->names[i % kNames];
            if (name.channel.load(kAcquire) == 0 || text == name.text) return name;
        }
    }

    Arena* arena_ = nullptr;
};

}  // namespace

void add_arena_limit(Subjects& subjects) {
    subjects.list.push_back(crowd_subject_of<Channels>("arena", Kind::limit));
}

}  // namespace stoa::bench
