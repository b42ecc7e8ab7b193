// Many small named mailboxes in a domain of their own.
#include <filesystem>

#include "bench/kit/crowd.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"

namespace stoa::bench {

namespace {

using Message = Value<64>;

class NamedBox {
public:
    explicit NamedBox(Mailbox<Message> mailbox) : mailbox_{std::move(mailbox)} {}
    void put(std::uint64_t number) {
        Message message{};
        fill_payload<8>(message.bytes.data(), number);
        need(mailbox_.send(message));
    }
    std::uint64_t get() {
        Message message{};
        need(mailbox_.receive_into(message, Deadline::immediately()));
        return first_word(message.bytes.data());
    }

private:
    Mailbox<Message> mailbox_;
};

class Crowd {
public:
    static bool supports(const Case& c) { return c.bytes == sizeof(Message); }
    explicit Crowd(const Case& c) : domain_{"/dev/shm/" + c.id} {}
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;
    ~Crowd() {
        std::error_code ignored;
        std::filesystem::remove_all(domain_, ignored);
    }
    NamedBox create(unsigned i) {
        return NamedBox{need(
            Mailbox<Message>::create(name(i), {.capacity = bounded(kCrowdMessages),
                                               .reserve_bytes = kCrowdMessages * sizeof(Message),
                                               .loan_quota = 1,
                                               .domain = domain_}))};
    }
    NamedBox open(unsigned i) {
        return NamedBox{need(Mailbox<Message>::open(name(i), {.domain = domain_}))};
    }

private:
    static std::string name(unsigned i) { return "box-" + std::to_string(i); }
    std::string domain_;
};

}  // namespace

Subject stoa_crowd() {
    return crowd_subject_of<Crowd>("stoa", Kind::stoa);
}

}  // namespace stoa::bench
