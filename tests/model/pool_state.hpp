// The state of the pool ring's model: the shared words by the names that the ring gives them, and
// what each participant remembers between two accesses of shared memory.
#pragma once

#include <array>
#include <cstdint>

namespace stoa::model {

inline constexpr int kMaxSlots = 3;
inline constexpr int kMaxChunks = 6;
inline constexpr int kMaxParticipants = 5;
inline constexpr int kMaxSenders = 2;  // that are there from the start
inline constexpr int kMaxMessages = 6;
inline constexpr int kNobody = 7;     // no participant, in a field of three bits
inline constexpr int kUnwritten = 7;  // a chunk whose payload is no message
inline constexpr int kNoChunk = 7;
inline constexpr int kMaxReceipts = 2;

// ---- The shared words ------------------------------------------------------------------------

enum class SlotKind : std::uint8_t { empty, full, taken, redeliver };

struct SlotWord {
    std::uint8_t lap = 0;
    std::uint8_t takes = 0;  // how often this lap's message was taken
    SlotKind kind = SlotKind::empty;
    std::uint8_t who = 0;
    std::uint8_t chunk = 0;
    friend bool operator==(const SlotWord&, const SlotWord&) = default;
};

enum class ChunkState : std::uint8_t { free, loaned, borrowed, redeliver, dead_letter, done };

// Of epochs only equality is ever used, and an epoch never comes again. So a packed state keeps no
// epoch, only whether a remembered header still is the current one (pool_model.cpp, visit).
struct HeaderWord {
    std::uint8_t epoch = 1;
    ChunkState state = ChunkState::free;
    std::uint8_t owner = 0;
    std::uint8_t takes = 0;
    std::uint8_t count = 0;  // acknowledged mode: how often a lease of it ended without an ack
    friend bool operator==(const HeaderWord&, const HeaderWord&) = default;
};

struct FlagWord {
    std::uint8_t generation = 1;  // as with epochs, only equality matters
    bool up = false;
    friend bool operator==(const FlagWord&, const FlagWord&) = default;
};

enum class Outcome : std::uint8_t {
    none,
    pending,
    taken,
    acked,
    withdrawn,
    receiver_died,
    dead_letter
};

// In a message's note: which receipt waits for it, lent for which time. Tag 0: nobody waits.
struct ReceiptRef {
    std::uint8_t receipt = 0;
    std::uint8_t tag = 0;
    friend bool operator==(const ReceiptRef&, const ReceiptRef&) = default;
};

// Its own word {FREE or LOANED to owner, tag}, and the outcome's {outcome, tag}.
struct ReceiptWords {
    bool is_loaned = false;
    std::uint8_t owner = 0;
    std::uint8_t tag = 0;  // how often it was lent
    Outcome outcome = Outcome::none;
    std::uint8_t outcome_tag = 0;
    std::uint8_t message = kUnwritten;  // not shared: for which the observer saw it lent
};

enum class RecordState : std::uint8_t { free, claimed, live };

struct RecordWord {
    RecordState state = RecordState::free;
    std::uint8_t incarnation = 0;
    friend bool operator==(const RecordWord&, const RecordWord&) = default;
};

// Whom a participant announced that it sweeps.
struct SweepWord {
    std::uint8_t index = kNobody;
    std::uint8_t incarnation = 0;
    friend bool operator==(const SweepWord&, const SweepWord&) = default;
};

// ---- A participant's own memory --------------------------------------------------------------

// The next access of shared memory that a participant makes. One step is one access.
enum class Pc : std::uint8_t {
    idle,
    // attach, after the record was claimed
    attach_clear_sweeping,
    attach_publish,
    // send
    loan_header,
    loan_clear_hint,  // mutant hint_cleared_late only
    send_read_tail,
    send_read_slot,
    send_publish,
    send_pass_tail,
    send_advance_tail,
    help_read_header,
    help_reread_slot,
    help_adopt,
    help_empty_slot,
    // receive
    receive_scan_slot,
    receive_claim_slot,
    receive_scan_header,
    receive_claim_header,
    receive_lower_flag,
    receive_read_head,
    receive_read_slot,
    receive_take,
    receive_pass_head,
    adopt_read_header,
    adopt_reread_slot,
    adopt_header,
    empty_slot,
    receive_advance_head,
    bury_read_header,
    bury_reread_slot,
    bury_header,
    bury_empty_slot,
    // taking a dead letter out
    drain_scan_slot,
    drain_free_header,
    // the end of a loan
    give_hint,
    nack_raise,
    // a send with a receipt, before the tail is read
    ask_claim_receipt,
    ask_store_pending,
    ask_write_note,
    // settle: the sender looks what became of its message
    settle_read_outcome,
    settle_read_slot,
    settle_look_again,
    settle_read_header,
    settle_read_note,
    settle_reread_header,
    settle_told_again,
    settle_resolve,
    // withdraw
    withdraw_read_slot,
    withdraw_take,
    withdraw_resolve,
    withdraw_free,
    withdraw_read_header,
    withdraw_read_note,
    withdraw_read_outcome,
    withdraw_claim_header,
    // a receiver tells that it took or acked
    tell_read_note,
    tell_resolve,
    finish_read_note,
    finish_done,
    finish_resolve,
    finish_free,
    // recover
    sweep_announce,
    sweep_recheck,
    sweep_raise_first,  // mutant raise_only_before only
    sweep_read_slot,
    sweep_redeliver_slot,
    sweep_list_header,
    sweep_hint_passed,
    sweep_scan_slot,
    sweep_settle_header,
    sweep_tell_read_note,
    sweep_tell_reread_header,
    sweep_tell_resolve,
    sweep_free_header,
    sweep_receipt,
    sweep_give_hint,
    sweep_raise,
    sweep_give_index_back,
    sweep_clear_word,
};

enum class Life : std::uint8_t { absent, running, frozen, dead, gone };  // gone: detached
enum class Role : std::uint8_t { sender, receiver };

// A sent message, as its sender remembers it.
struct Ticket {
    bool is_open = false;  // its receipt is claimed
    bool was_sent = false;
    ReceiptRef ref;
    std::uint8_t chunk = 0;
    std::uint8_t position = 0;
    std::uint8_t message = 0;
};

struct Participant {
    Life life = Life::absent;
    Role role = Role::sender;
    Pc pc = Pc::idle;
    std::uint8_t held = 0;          // set of chunks: loans not yet committed or not yet given back
    std::uint8_t next_message = 0;  // sender: the message that it commits next
    std::uint8_t end_message = 0;

    // Of the operation that is under way; meaningless, and not kept, outside of it.
    std::uint8_t position = 0;      // of send and receive: lap * slots + slot
    std::uint8_t index = 0;         // of a scan over slots or headers
    std::uint8_t chunk = kNoChunk;  // my own chunk: being sent, taken or given back
    SlotWord slot;                  // as it was read
    HeaderWord header;              // as it was read
    FlagWord flag;                  // as it was read
    SweepWord victim;               // who is swept
    ReceiptRef ref;                 // as it was read in a note
    Outcome found = Outcome::none;  // what is to be told
    Ticket ticket;                  // of the message that it asked a receipt for
    std::array<bool, kMaxChunks> is_listed{};
    std::array<HeaderWord, kMaxChunks> listed;
};

enum class AttachPc : std::uint8_t { idle, read_second, scan_sweeping, claim };

// A process that wants to join, before it has an index.
struct Newcomer {
    AttachPc pc = AttachPc::idle;
    std::uint8_t index = 0;
    std::uint8_t incarnation = 0;
    std::uint8_t scanned = 0;
    std::uint8_t table = 0;  // the size of the participant table as it was read
};

// ---- What an outside observer remembers, to judge ------------------------------------------

// Where a message ended, or is for now.
enum class Fate : std::uint8_t { none, delivered, acked, letter, taken_back };

struct MessageStory {
    bool was_sent = false;
    bool was_settled = false;   // plain: delivered; acknowledged: acked or dead-lettered
    bool was_put_back = false;  // redelivered after a death or a nack: no longer in order
    std::uint8_t deliveries = 0;
    Outcome told = Outcome::none;  // with receipts: what its sender learned
    Fate fate = Fate::none;
    std::uint8_t taker = kNobody;  // the last receiver that it was delivered to
    bool taker_died = false;
    bool sender_died = false;  // the dead learn nothing
};

struct PoolState {
    std::array<SlotWord, kMaxSlots> slots;
    std::array<HeaderWord, kMaxChunks> headers;
    std::array<std::uint8_t, kMaxChunks> payloads;  // which message a chunk carries
    std::array<ReceiptRef, kMaxChunks> notes;
    std::array<ReceiptWords, kMaxReceipts> receipts;
    std::uint8_t head = 0;
    std::uint8_t tail = 0;
    std::uint8_t hints = 0;  // the bitmap: one bit per chunk
    FlagWord flag;
    std::uint8_t table = 0;  // participant records that exist
    std::array<RecordWord, kMaxParticipants> records;
    std::array<SweepWord, kMaxParticipants> sweeping;
    std::uint8_t late_clears = 0;  // mutant detach_announced only: detached, word not yet cleared

    std::array<Participant, kMaxParticipants> participants;
    std::array<Newcomer, 2> newcomers;

    std::uint8_t crashes = 0;
    std::uint8_t freezes = 0;
    std::uint8_t attaches = 0;
    std::uint8_t detaches = 0;
    std::array<MessageStory, kMaxMessages> stories;
    // newest[receiver][stream]: the newest message of that sender that came in order.
    std::array<std::array<std::uint8_t, kMaxSenders>, kMaxParticipants> newest;
};

}  // namespace stoa::model
