// Rival: NNG over its local transport: pair0 for two processes, push0 and pull0 for a flow.
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

void check(int result, const char* step) {
    if (result != 0) throw std::runtime_error{std::string{step} + ": " + nng_strerror(result)};
}

// Never closed: nng_close() hangs now and then, and the process ends with its endpoint anyway.
class NngEnd {
public:
    explicit NngEnd(Part part) {
        const bool pair = part == Part::client || part == Part::server;
        check(pair                   ? nng_pair0_open(&socket_)
              : part == Part::sender ? nng_push0_open(&socket_)
                                     : nng_pull0_open(&socket_),
              "nng open");
        check(nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0), "NNG_OPT_RECVMAXSZ");
        check(nng_socket_set_ms(socket_, NNG_OPT_RECONNMINT, 2), "NNG_OPT_RECONNMINT");
        // a buffer where the protocol has one; faster with it
        static_cast<void>(nng_socket_set_int(socket_, NNG_OPT_SENDBUF, 128));
        static_cast<void>(nng_socket_set_int(socket_, NNG_OPT_RECVBUF, 128));
    }
    void bind(const std::string& address) {
        check(nng_listen(socket_, address.c_str(), nullptr, 0), "nng_listen");
    }
    void reach(const std::string& address) {
        check(nng_dial(socket_, address.c_str(), nullptr, NNG_FLAG_NONBLOCK), "nng_dial");
    }

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        nng_msg* message = nullptr;
        check(nng_msg_alloc(&message, bytes), "nng_msg_alloc");
        fill(static_cast<std::byte*>(nng_msg_body(message)));
        check(nng_sendmsg(socket_, message, 0), "nng_sendmsg");
    }
    template <class Visit>
    void receive(Visit&& visit) {
        nng_msg* message = nullptr;
        check(nng_recvmsg(socket_, &message, 0), "nng_recvmsg");
        visit(static_cast<const std::byte*>(nng_msg_body(message)), nng_msg_len(message));
        nng_msg_free(message);
    }

private:
    nng_socket socket_{};
};

class Nng {
public:
    static bool supports(const Case& c) { return sleeps_in(c); }
    explicit Nng(const Case& c) : receivers_{c.receivers()}, id_{c.id} {}
    NngEnd connect(const Role& role) {
        NngEnd end{role.part};
        if (role.part == Part::sender) {
            for (unsigned i = 0; i < receivers_; ++i) end.reach(address(i));
        } else if (role.part == Part::client) {
            end.reach(address(0));
        } else {
            end.bind(address(role.part == Part::server ? 0 : role.index));
        }
        return end;
    }

private:
    [[nodiscard]] std::string address(unsigned receiver) const {
        return "abstract://" + id_ + "-" + std::to_string(receiver);
    }
    unsigned receivers_;
    std::string id_;
};

}  // namespace

void add_nng(Subjects& subjects) {
    subjects.list.push_back(subject_of<Nng>("nng", Kind::rival));
}

}  // namespace stoa::bench
