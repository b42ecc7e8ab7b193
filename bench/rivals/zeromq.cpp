// Rival: ZeroMQ over ipc: PAIR for two processes, PUSH and PULL for a flow.
#include <zmq.h>

#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

[[noreturn]] void raise(const char* step) {
    throw std::runtime_error{std::string{step} + ": " + zmq_strerror(zmq_errno())};
}

class ZeroMqEnd {
public:
    explicit ZeroMqEnd(int type) : context_{zmq_ctx_new()}, socket_{zmq_socket(context_, type)} {
        if (socket_ == nullptr) raise("zmq_socket");
        const int linger = 0;
        const int retry_ms = 2;
        zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
        zmq_setsockopt(socket_, ZMQ_RECONNECT_IVL, &retry_ms, sizeof retry_ms);
    }
    ZeroMqEnd(ZeroMqEnd&& other) noexcept
        : context_{std::exchange(other.context_, nullptr)},
          socket_{std::exchange(other.socket_, nullptr)} {}
    ZeroMqEnd(const ZeroMqEnd&) = delete;
    ZeroMqEnd& operator=(const ZeroMqEnd&) = delete;
    ~ZeroMqEnd() {
        if (socket_ != nullptr) zmq_close(socket_);
        if (context_ != nullptr) zmq_ctx_term(context_);
    }
    void bind(const std::string& address) {
        if (zmq_bind(socket_, address.c_str()) != 0) raise("zmq_bind");
    }
    void reach(const std::string& address) {
        if (zmq_connect(socket_, address.c_str()) != 0) raise("zmq_connect");
    }

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        zmq_msg_t message;
        if (zmq_msg_init_size(&message, bytes) != 0) raise("zmq_msg_init_size");
        fill(static_cast<std::byte*>(zmq_msg_data(&message)));
        if (zmq_msg_send(&message, socket_, 0) < 0) raise("zmq_msg_send");
    }
    template <class Visit>
    void receive(Visit&& visit) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, socket_, 0) < 0) raise("zmq_msg_recv");
        visit(static_cast<const std::byte*>(zmq_msg_data(&message)), zmq_msg_size(&message));
        zmq_msg_close(&message);
    }

private:
    void* context_;
    void* socket_;
};

class ZeroMq {
public:
    static bool supports(const Case& c) { return sleeps_in(c); }
    explicit ZeroMq(const Case& c) : receivers_{c.receivers()}, id_{c.id} {}
    ZeroMqEnd connect(const Role& role) {
        const bool pair = role.part == Part::client || role.part == Part::server;
        ZeroMqEnd end{pair ? ZMQ_PAIR : role.part == Part::sender ? ZMQ_PUSH : ZMQ_PULL};
        if (role.part == Part::sender) {
            for (unsigned i = 0; i < receivers_; ++i) end.reach(address(i));
        } else if (role.part == Part::client) {
            end.reach(address(0));
        } else {
            end.bind(address(pair ? 0 : role.index));
        }
        return end;
    }

private:
    // an abstract name: nothing is left in the file system
    [[nodiscard]] std::string address(unsigned receiver) const {
        return "ipc://@" + id_ + "-" + std::to_string(receiver);
    }
    unsigned receivers_;
    std::string id_;
};

}  // namespace

void add_zeromq(Subjects& subjects) {
    subjects.list.push_back(subject_of<ZeroMq>("zeromq", Kind::rival));
}

}  // namespace stoa::bench
