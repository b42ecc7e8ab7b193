// A place for one message, guarded by a lock and a condition: how conditions are compared.
//
// Start here: BoxSubject<Sync>; a Sync has lock(), unlock(), wait() and notify_one(), and lies in
//             shared memory; Join is made in each process before it uses one.
// Threads:    none.
// Processes:  a pair, a box for each direction.
// Death:      as SessionOf.
// Blocking:   as the condition blocks.
// Lifetime:   the boxes live for one measurement.
// Units:      bytes.
// Source:     the bounded buffer of Hoare 1974, of one place.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

inline constexpr std::size_t kBoxBytes = 8;

template <class Sync>
class Box {
public:
    template <class Fill>
    void put(Fill&& fill) {
        sync_.lock();
        while (is_full_) sync_.wait();
        fill(message_);
        is_full_ = true;
        sync_.notify_one();
        sync_.unlock();
    }
    template <class Visit>
    void take(Visit&& visit) {
        sync_.lock();
        while (!is_full_) sync_.wait();
        visit(static_cast<const std::byte*>(message_), kBoxBytes);
        is_full_ = false;
        sync_.notify_one();
        sync_.unlock();
    }

private:
    alignas(kCacheLine) Sync sync_;
    bool is_full_ = false;
    alignas(8) std::byte message_[kBoxBytes]{};
};

// `Memory` holds two boxes at `boxes()`, and a Join is made of it in each process.
template <class Memory>
class BoxSubject {
public:
    static bool supports(const Case& c) {
        const bool trips = c.workload == Workload::round_trip || c.workload == Workload::waiting;
        return trips && c.waiting() == Waiting::adaptive && c.pairs() == 1 && c.bytes == kBoxBytes;
    }
    class End {
    public:
        End(Memory& memory, bool is_client)
            : joined_{memory},
              out_{memory.boxes() + (is_client ? 0 : 1)},
              in_{memory.boxes() + (is_client ? 1 : 0)} {}
        End(const End&) = delete;
        End& operator=(const End&) = delete;

        template <class Fill>
        void send(std::size_t /*bytes*/, Fill&& fill) {
            out_->put(fill);
        }
        template <class Visit>
        void receive(Visit&& visit) {
            in_->take(visit);
        }

    private:
        typename Memory::Join joined_;
        Box<typename Memory::Sync>* out_;
        Box<typename Memory::Sync>* in_;
    };

    explicit BoxSubject(const Case& /*c*/) {}
    End connect(const Role& role) { return End{memory_, role.part == Part::client}; }

private:
    Memory memory_;
};

}  // namespace stoa::bench
