"""The rules that are broken on purpose, one at a time, and who must notice.

Each mutant names one file, a text that must occur there exactly once, what stands there instead,
the target to build and the command that must fail. `preset` tsan: caught by ThreadSanitizer, which
alone sees a weakened memory order. A mutant that survives, or whose text is no longer found, is a
failure.
"""
from mutant import Mutant, crash
from mutants_async import ASYNC
from mutants_buffers import BUFFERS
from mutants_latest import LATEST
from mutants_links import LINKS
from mutants_locks import LOCKS
from mutants_regions import REGIONS
from mutants_sets import SETS
from mutants_waits import WAITS

MUTANTS = (
    Mutant(
        "lane_not_ready_not_stored",
        "before a record is published, the place behind it says not-ready",
        "stoa/ring/lane_sender.hpp",
        "if (!is_clear) lane_head(ring, mask, next)->ready.store(0, kRelaxed);",
        "static_cast<void>(is_clear);",
        "lane_test", ("stoa/ring/lane_test",),
    ),
    Mutant(
        "lane_loan_forgets_early_clear",
        "a loan that may write over a place cleared early forgets that it is clear",
        "stoa/ring/lane_sender.hpp",
        "if (tail_ + stride != cleared_) cleared_ = kNoPlace;",
        "",
        "crash_run", crash("lane"),
    ),
    Mutant(
        "lane_batch_first_word_first",
        "a batch publishes its first record last",
        "stoa/ring/lane.cpp",
        "    if (first_word_ == 0) {\n        first_word_ = word;\n    } else {\n"
        "        sender_.head_at(end_)->ready.store(word, kRelaxed);\n    }",
        "    if (first_word_ == 0) first_word_ = word;\n"
        "    sender_.head_at(end_)->ready.store(word, kRelaxed);",
        "crash_run", crash("lane"),
    ),
    Mutant(
        "lane_delivered_not_stored",
        "what was delivered is noted with every receive",
        "stoa/ring/lane_receiver.hpp",
        "layout_->receiver.delivered.store(head + bytes, kRelease);",
        "",
        "lane_death_test", ("stoa/ring/lane_death_test",),
    ),
    Mutant(
        "lane_publish_relaxed",
        "S2 releases the payload",
        "stoa/ring/lane_sender.hpp",
        "lane_head(ring, mask, tail)->ready.store(word, kRelease);",
        "lane_head(ring, mask, tail)->ready.store(word, kRelaxed);",
        "lane_stress_test", ("stoa/ring/lane_stress_test",), "tsan",
    ),
    Mutant(
        "lane_wake_spent_early",
        "the mark of one that sleeps for the next record is left for that record",
        "stoa/ring/lane.cpp",
        "if (ready.load(kRelaxed) == 0) return nullptr;",
        "",
        "lane_sleep_test", ("stoa/ring/lane_sleep_test",),
    ),
    Mutant(
        "lane_delivery_does_not_wake",
        "a sender that sleeps for a place is woken where it sleeps",
        "stoa/ring/lane.cpp",
        "if ((mark & LaneMark::kForPlace) != 0) return &low_half(layout_->receiver.delivered);",
        "",
        "lost_wake_test", ("stoa/mailbox/lost_wake_test",),
    ),
    Mutant(
        "log_next_not_cleared",
        "before a record is published, the place behind it says not-ready",
        "stoa/ring/log_writer.hpp",
        "    head_at(next)->ready.store(0, kRelaxed);\n",
        "",
        "log_test", ("stoa/ring/log_test",),
    ),
    Mutant(
        "log_publish_relaxed",
        "W4 releases the payload",
        "stoa/ring/log_writer.hpp",
        "head_at(tail)->ready.store(word, kRelease);",
        "head_at(tail)->ready.store(word, kRelaxed);",
        "log_stress_test", ("stoa/ring/log_stress_test",), "tsan",
    ),
    Mutant(
        "log_join_does_not_look",
        "a joiner looks at the floor after it stored its cursor",
        "stoa/ring/log_reader.cpp",
        "if (layout_->writer.floor.load(kSeqCst) <= head_) {  // J2",
        "if (true) {",
        "crash_run", crash("log.join"),
    ),
    Mutant(
        "log_leave_ends_another",
        "who leaves ends its own subscription and no other",
        "stoa/ring/log_reader.cpp",
        "cursor_->state.compare_exchange_strong(mine, LogState::ended(joined_), kSeqCst);",
        "cursor_->state.store(LogState::ended(mine), kSeqCst);",
        "log_test", ("stoa/ring/log_test", "--gtest_filter=*LeavesLate*"),
    ),
    Mutant(
        "log_copy_not_validated",
        "a copy counts when the floor has not passed it",
        "stoa/ring/log_reader.cpp",
        "        if (!is_sound(fits)) continue;\n",
        "",
        "crash_run", crash("log.copy"),
    ),
    Mutant(
        "log_drop_hits_the_next",
        "a drop ends only the subscription that it read",
        "stoa/ring/log.cpp",
        "cursor.state.compare_exchange_strong(state, LogState::ended(state), kSeqCst);  // D3",
        "cursor.state.store(LogState::ended(state), kSeqCst);",
        "crash_run", crash("log.drop"),
    ),
    Mutant(
        "pool_publish_relaxed",
        "S2 releases the payload",
        "stoa/ring/pool.cpp",
        "if (!slot(first + tail.index).compare_exchange_strong(seen, full, kSeqCst)) continue;",
        "if (!slot(first + tail.index).compare_exchange_strong(seen, full, kRelaxed)) continue;",
        "pool_test", ("stoa/ring/pool_test",), "tsan",
    ),
    Mutant(
        "pool_no_help",
        "a sender that meets last lap's TAKEN helps",
        "stoa/ring/pool.cpp",
        "if (!help_taken(first + tail.index, seen)) return PoolStatus::corrupt;",
        "return PoolStatus::full;",
        "crash_run", crash("pool"),
    ),
    Mutant(
        "pool_slot_freed_before_adoption",
        "the chunk is adopted before its slot is given up",
        "stoa/ring/pool.cpp",
        "    if (adopt_for(index, taken) == Adopt::corrupt && "
        "slot(index).load(kSeqCst) == taken) {",
        "    settle_slot(index, taken);\n"
        "    if (adopt_for(index, taken) == Adopt::corrupt && "
        "slot(index).load(kSeqCst) == taken) {",
        "crash_run", crash("pool"),
    ),
    Mutant(
        "pool_recover_chunks_first",
        "recover marks the slots before it lists the chunks",
        "stoa/ring/pool_recover.cpp",
        "    recover_slots(dead.index);\n    STOA_CRASH_POINT(\"pool.recover.slots_done\");\n"
        "    recover_chunks(dead);\n",
        "    recover_chunks(dead);\n    STOA_CRASH_POINT(\"pool.recover.slots_done\");\n"
        "    recover_slots(dead.index);\n",
        "crash_run", crash("pool"),
    ),
    Mutant(
        "pool_recover_ignores_slots",
        "a dead one's chunk that is queued stays queued",
        "stoa/ring/pool_recover.cpp",
        "if (listed[k] == now.chunk) listed[k] = kNoChunk;  // queued: it stays",
        "static_cast<void>(k);",
        "pool_test", ("stoa/ring/pool_test",),
    ),
    Mutant(
        "pool_recover_does_not_raise",
        "recover raises the flag last",
        "stoa/ring/pool_recover.cpp",
        "    if (has_extras()) recover_receipts(dead.index);\n    raise();",
        "    if (has_extras()) recover_receipts(dead.index);",
        "pool_test", ("stoa/ring/pool_test",),
    ),
    Mutant(
        "pool_hints_not_swept",
        "a sweep sets the hints of the free chunks that it passes",
        "stoa/ring/pool_recover.cpp",
        "set_hint(index);  // a sender may have died between taking the hint and the chunk",
        "",
        "crash_run", crash("pool"),
    ),
    Mutant(
        "sweep_not_announced",
        "a sweeper announces whom it sweeps, so that the index is not reused meanwhile",
        "stoa/life/participants.cpp",
        "    mine.store(holder_of(index, place.incarnation), kSeqCst);  // W1",
        "    mine.store(0, kSeqCst);",
        "participants_test", ("stoa/life/participants_test",),
    ),
    Mutant(
        "stopped_counts_as_dead",
        "only a death that is proven is recovered",
        "stoa/life/participants.cpp",
        "life_of(index, word, ignored) != sys::Life::dead) {\n        return false;",
        "life_of(index, word, ignored) == sys::Life::unknown) {\n        return false;",
        "participants_test", ("stoa/life/participants_test",),
    ),
    Mutant(
        "bell_does_not_wake",
        "whoever clears the sleep bit wakes one",
        "stoa/sync/bell.cpp",
        "    sys::futex_wake(bell, wake_count);  // A4",
        "",
        "bell_test", ("stoa/sync/bell_test",),
    ),
    Mutant(
        "bell_sleeper_does_not_look_again",
        "a sleeper looks again after it set the bit",
        "stoa/sync/bell.hpp",
        "if (ready()) return Waited::ready;                          // B2",
        "",
        "bell_test", ("stoa/sync/bell_test",),
    ),
    Mutant(
        "wait_never_looks_around",
        "a wait looks at the living after each slice",
        "stoa/sync/bell.hpp",
        "if (slice.passed()) {",
        "if (slice.passed() && deadline.passed()) {",
        "mailbox_test", ("stoa/mailbox/mailbox_test", "--gtest_filter=*FindsTheDeath*"),
    ),
    Mutant(
        "pool_looks_only_in_long_waits",
        "who waits shortly or never recovers the dead as well",
        "stoa/channel/pool_engine.cpp",
        "if (now - looked_at_ < g_wait_slice) [[likely]]",
        "if (now - looked_at_ < 1000 * g_wait_slice) [[likely]]",
        "mailbox_test", ("stoa/mailbox/mailbox_test", "--gtest_filter=*ShortWaits*"),
    ),
    Mutant(
        "lane_recovery_does_not_ring",
        "recovery wakes whoever sleeps on several lanes",
        "stoa/mailbox/attachment.cpp",
        "if (plan_.lane_count > 0 || plan_.sharing != Sharing::any) wake_all();",
        "",
        "mailbox_test", ("stoa/mailbox/mailbox_test", "--gtest_filter=*BeforeTheBell*"),
    ),
    Mutant(
        "seat_of_dead_wakes_nobody",
        "who waits for the seat of a dead one is woken when it is free",
        "stoa/mailbox/attachment.cpp",
        "if (plan_.lane_count > 0 || plan_.sharing != Sharing::any) wake_all();",
        "if (plan_.lane_count > 0 || plan_.routed()) wake_all();",
        "roles_test", ("stoa/mailbox/roles_test", "--gtest_filter=*SeatOfADead*"),
    ),
    Mutant(
        "seat_freed_after_place",
        "a dead one's roles are given up while its sweep is announced",
        "stoa/mailbox/attachment.cpp",
        "    STOA_CRASH_POINT(\"mailbox.recover.before_seats\");\n    give_up_seats(dead);",
        "    STOA_CRASH_POINT(\"mailbox.recover.before_seats\");",
        "mailbox_test", ("stoa/mailbox/mailbox_test",),
    ),
    Mutant(
        "name_published_before_content",
        "a name is published when everything behind it is complete",
        "stoa/mailbox/attachment.cpp",
        "RegionImage::create_unnamed(\n"
        "        *domain, region_plan(*plan, options, file), write_content, &*plan);\n"
        "    if (!region) return std::unexpected(region.error());\n",
        "RegionImage::create(*domain, mailbox_file(name),\n"
        "                                           region_plan(*plan, options, file),\n"
        "                                           [](void*, std::span<std::byte>) {\n"
        "                                               return Result<void>{};\n"
        "                                           }, nullptr);\n"
        "    if (!region) return std::unexpected(region.error());\n"
        "    if (write_content(&*plan, region->content())) {\n"
        "        return enter(std::move(*region), std::move(*plan), options.role,\n"
        "                     options.waiting);\n"
        "    }\n",
        "crash_run", crash("name.create"),
    ),
    Mutant(
        "destroy_unlinks_blindly",
        "a name is removed after a look that it still leads to the condemned file",
        "stoa/shm/region_image.cpp",
        "    if (!*again) return {};\n",
        "",
        "crash_run", crash("name.destroy"),
    ),
    Mutant(
        "owned_file_ignores_lock",
        "a file that is published looks whether a process has taken the name meanwhile",
        "stoa/shm/region_image.cpp",
        "const std::uint64_t decided = *taken ? kRegionCondemned : kRegionLive;",
        "const std::uint64_t decided = kRegionLive;",
        "owned_name_test", ("stoa/shm/owned_name_test",),
    ),
    Mutant(
        "owned_lock_ignores_file",
        "a process that has taken a name looks whether a file has it",
        "stoa/shm/region_image.cpp",
        "const std::uint64_t decided = code == Errc::not_found ? kRegionLive : kRegionCondemned;",
        "const std::uint64_t decided = kRegionLive;",
        "owned_name_test", ("stoa/shm/owned_name_test",),
    ),
    Mutant(
        "owned_reused_pid_believed",
        "an address is believed only of the process that wrote it",
        "stoa/sys/process.cpp",
        "case Life::dead: return fail(Errc::peer_died, \"open process\");",
        "case Life::dead: return process;",
        "owned_name_test", ("stoa/shm/owned_name_test",),
    ),
    Mutant(
        "owned_names_live_in_children",
        "a forked child keeps no name of its parent",
        "stoa/sys/close_on_fork.cpp",
        "for (const Entry& entry : mine.entries) (void)::close(entry.number);",
        "",
        "owned_mailbox_test", ("stoa/mailbox/owned_mailbox_test", "--gtest_filter=*OwnersChild*"),
    ),
    Mutant(
        "owner_death_not_looked_for",
        "each call on another process's mailbox asks whether its owner lives",
        "stoa/mailbox/owner_watch.cpp",
        "    return gone_;\n",
        "    return false;\n",
        "owned_mailbox_test", ("stoa/mailbox/owned_mailbox_test", "--gtest_filter=*EveryCall*"),
    ),
    Mutant(
        "owner_closes_silently",
        "an owner that closes its handle says so in a word",
        "stoa/mailbox/attachment.cpp",
        "    region_.end_ownership();\n    STOA_CRASH_POINT",
        "    STOA_CRASH_POINT",
        "owned_mailbox_test", ("stoa/mailbox/owned_mailbox_test", "--gtest_filter=*EndsWith*"),
    ),
    Mutant(
        "receipt_told_after_freeing",
        "an ack is told before the chunk is freed",
        "stoa/ring/pool_receipt.cpp",
        "    wake = resolve(ref, Outcome::acked, pid);\n"
        "    word.store(pack({.epoch = now.epoch + 1}), kSeqCst);  // A2\n",
        "    word.store(pack({.epoch = now.epoch + 1}), kSeqCst);  // A2\n"
        "    wake = resolve(ref, Outcome::acked, pid);\n",
        "crash_run", crash("policy_ack.answer"),
    ),
    Mutant(
        "receipt_ack_without_done",
        "an ack with a receipt is one before it is told",
        "stoa/ring/pool_receipt.cpp",
        "    now.state = ChunkState::done;\n",
        "",
        "crash_run", crash("policy_ack.answer"),
    ),
    Mutant(
        "receipts_not_recovered",
        "the receipts of a dead sender are freed",
        "stoa/ring/pool_recover.cpp",
        "if (has_extras()) recover_receipts(dead.index);",
        "",
        "crash_run", crash("policy.ask"),
    ),
    Mutant(
        "expired_whatever_the_receipt_says",
        "what its receipt calls taken is delivered, also when its time is over",
        "stoa/channel/pool_receipts.cpp",
        "if (told.tag == ref.tag && told.outcome == Outcome::taken) return true;",
        "static_cast<void>(told);",
        "crash_run", crash("policy.expire"),
    ),
    Mutant(
        "dropped_looks_taken",
        "a message taken to be dropped is not taken by a receiver",
        "stoa/ring/pool_receipt.cpp",
        "if (now.dropping()) {",
        "if (false) {",
        "crash_run", crash("policy.drop_oldest"),
    ),
    Mutant(
        "expired_looks_dropped",
        "a message taken because it is overdue has expired",
        "stoa/ring/pool_receipt.cpp",
        "return overdue ? Outcome::expired : Outcome::dropped;",
        "static_cast<void>(overdue);\n                return Outcome::dropped;",
        "crash_run", crash("policy.expire_for_room"),
    ),
    Mutant(
        "seal_without_cas",
        "a queue is sealed by a CAS, which fails when a message came",
        "stoa/ring/pool_levels.cpp",
        "if (slot(index).compare_exchange_strong(seen, codec_.pack(now), kSeqCst)) return true;",
        "slot(index).store(codec_.pack(now), kSeqCst);\n        return true;",
        "crash_run", crash("policy.seal"),
    ),
    Mutant(
        "level_hint_is_the_truth",
        "before a receiver finds nothing it looks at every level",
        "stoa/ring/pool_levels.cpp",
        "const std::uint64_t missed = levels_with_messages();\n            if (missed == 0)",
        "const std::uint64_t missed = 0;\n            if (missed == 0)",
        "crash_run", crash("policy.level_send"),
    ),
    Mutant(
        "level_hint_never_mended",
        "after so many takes a receiver looks at every level",
        "stoa/ring/pool_levels.cpp",
        "if (missed != 0) layout_->levels.fetch_or(missed, kSeqCst);\n    }",
        "static_cast<void>(missed);\n    }",
        "policy_test", ("stoa/mailbox/policy_test", "--gtest_filter=*HidesItsMessage*"),
    ),
    Mutant(
        "end_while_being_taken",
        "before a stream ends, what is being taken is its taker's",
        "stoa/ring/pool_levels.cpp",
        "if (codec_.unpack(seen).kind == SlotKind::taken) static_cast<void>(help_taken(i, seen));",
        "if (codec_.unpack(seen).kind == SlotKind::taken) continue;",
        "policy_test", ("stoa/mailbox/policy_test", "--gtest_filter=*BeingTaken*"),
    ),
    Mutant(
        "route_no_second_look",
        "a sender looks again at the seat of the receiver to whom it sent",
        "stoa/mailbox/routes.cpp",
        "                    turn_ = station;\n                    check_seat(station, seen);",
        "                    turn_ = station;",
        "crash_run", crash("routed_lanes.send"),
    ),
    Mutant(
        "orphans_not_noted",
        "a sweep says where messages wait for nobody",
        "stoa/mailbox/attachment.cpp",
        "    keep_totals(dead);\n    note_orphans();\n",
        "    keep_totals(dead);\n",
        "crash_run", crash("routed_lanes.sweep"),
    ),
    Mutant(
        "lanes_adopted_without_the_seat",
        "who adopts lanes holds their seat meanwhile",
        "stoa/mailbox/routes.cpp",
        "if (!held.compare_exchange_strong(nobody, mine, kSeqCst)) return false;",
        "if (held.load(kSeqCst) != 0) return false;",
        "crash_run", crash("routed_lanes.take_over_beside"),
    ),
    Mutant(
        "marked_seat_not_given_up",
        "the seat that a dead heir held is given up",
        "stoa/mailbox/attachment.cpp",
        "if ((seen & ~(kHandingOver | kLatest)) == holder) {",
        "if ((seen & ~kLatest) == holder) {",
        "crash_run", crash("routed_lanes.take_over"),
    ),
    Mutant(
        "lane_bell_stays",
        "a sender wakes the receiver to whom its lane leads now",
        "stoa/mailbox/attachment.cpp",
        "const std::uint32_t to = leads_to(door(lane).station.load(kSeqCst)) - 1;",
        "const std::uint32_t to = lane - lane;",
        "routes_test", ("stoa/mailbox/routes_test", "--gtest_filter=*WakesItsNewReceiver*"),
    ),
    Mutant(
        "end_told_before_late_lanes",
        "before the end of a stream is told, lanes that were opened late are looked at",
        "stoa/channel/lane_engine.cpp",
        "    if (bell_ != nullptr) {\n"
        "        if (Result<void> attached = attach_lanes(); !attached) return attached;\n"
        "    }\n    if (any_ready()) return {};\n    if (known_.empty())",
        "    if (any_ready()) return {};\n    if (known_.empty())",
        "close_test", ("stoa/mailbox/close_test",),
    ),
    Mutant(
        "sent_behind_the_end",
        "a send that meets a close asks whether its message counts",
        "stoa/channel/lane_engine.hpp",
        "return !end_.is_closed() || end_.includes(sender_.position());",
        "return true;",
        "close_test", ("stoa/mailbox/close_test",),
    ),
    Mutant(
        "received_behind_the_end",
        "who receives later asks whether a lane has ended",
        "stoa/channel/lane_engine.cpp",
        "ended_[i] = source_.end(source_.context, i).is_over(lanes_[i]->position());",
        "ended_[i] = false;",
        "close_test", ("stoa/mailbox/close_test",),
    ),
    Mutant(
        "drained_lanes_kept",
        "an heir lets go of a lane that it has drained",
        "stoa/channel/lane_engine.cpp",
        "if (source_.let_go(source_.context, lane)) lanes_[lane].reset();",
        "",
        "routes_test", ("stoa/mailbox/routes_test", "--gtest_filter=RoundRobin*"),
    ),
    Mutant(
        "handed_over_taken_undrained",
        "who takes a lane that was handed over finds it drained when nobody else sends there",
        "stoa/mailbox/attachment.cpp",
        "if (good && (word & kHandedOver) != 0) {",
        "if (false) {",
        "routes_test", ("stoa/mailbox/routes_test", "--gtest_filter=RoundRobin*"),
    ),
    Mutant(
        "handed_over_twice_unmarked",
        "a door says that its lane was handed over, also to a second heir",
        "stoa/mailbox/routes.cpp",
        "(at_.seat_ + 1) | kHandedOver | ((word >> 8U) + 1) << 8U;",
        "(at_.seat_ + 1) | ((word >> 8U) + 1) << 8U;",
        "routes_test", ("stoa/mailbox/routes_test", "--gtest_filter=RoundRobin*"),
    ),
    Mutant(
        "segment_put_behind_the_end",
        "who tells the end of a stream closes its chain first",
        "stoa/mailbox/queue.cpp",
        "at_.segments().end(station_, known_.back())",
        "at_.segments().is_last(station_, known_.back())",
        "close_test", ("stoa/mailbox/close_test",),
    ),
    Mutant(
        "segments_making_left",
        "what a dead one was making is given back, unless it is linked",
        "stoa/mailbox/segments.cpp",
        "const bool owned = now.state == SegmentState::making ||",
        "const bool owned =",
        "crash_run", crash("unbounded.grow"),
    ),
    Mutant(
        "segments_giving_back_left",
        "what a dead one was giving back is finished",
        "stoa/mailbox/segments.cpp",
        "                           now.state == SegmentState::leaving ||\n"
        "                           now.state == SegmentState::giving_back;",
        "                           now.state == SegmentState::leaving;",
        "crash_run", crash("unbounded.retire"),
    ),
    Mutant(
        "segments_passed_without_seal",
        "a receiver seals what it leaves behind",
        "stoa/mailbox/queue.cpp",
        "            if ((*engine)->ring().seal(level)) break;",
        "            break;",
        "crash_run", crash("unbounded.grow"),
    ),
    Mutant(
        "segments_loan_sent_where_it_lies",
        "a loan that lies in a segment that its sender has left is sent further on",
        "stoa/mailbox/queue.cpp",
        "if (out_.position != 0 && loan.station == out_.slot && at_.segments().is_held(out_)) {",
        "if (true) {",
        "unbounded_test", ("stoa/mailbox/unbounded_test",),
    ),
    Mutant(
        "cursor_of_leaver_in_the_way",
        "who takes a seat drops the cursors that its last holder left",
        "stoa/mailbox/broadcast.cpp",
        "                         .is_given = true};  // with the seat",
        "                         .is_given = false};",
        "crash_run", crash("broadcast_logs.subscribe"),
    ),
    Mutant(
        "copies_before_all_claims",
        "a broadcast that fails has reached nobody",
        "stoa/mailbox/broadcast.cpp",
        "        for (Copy& copy : copies_) give_back(copy);\n",
        "        static_cast<void>(send_copies(message, options));\n",
        "broadcast_test", ("stoa/mailbox/broadcast_test",),
    ),
    Mutant(
        "claimed_chunk_without_slot",
        "who has claimed a chunk of a subscriber's ring finds a slot there",
        "stoa/mailbox/plan.cpp",
        ".slot_per_chunk = plan.slot_per_chunk()",
        ".slot_per_chunk = false",
        "broadcast_test", ("stoa/mailbox/broadcast_test",),
    ),
    Mutant(
        "seat_read_before_its_backlog",
        "the seat is read after its segments were listed",
        "stoa/mailbox/backlog.cpp",
        "    STOA_CRASH_POINT(\"mailbox.backlog.begun\");\n"
        "    const std::optional<Segment> last = segments_->last(i);\n"
        "    if (last) segments_->list(i, 0, to);\n"
        "    std::erase_if(to, [&](const Segment& one) "
        "{ return one.position >= last->position; });\n"
        "    STOA_CRASH_POINT(\"mailbox.backlog.listed\");\n"
        "    return station(i).seat.load(kSeqCst);\n",
        "    const std::uint64_t early = station(i).seat.load(kSeqCst);\n"
        "    STOA_CRASH_POINT(\"mailbox.backlog.begun\");\n"
        "    const std::optional<Segment> last = segments_->last(i);\n"
        "    if (last) segments_->list(i, 0, to);\n"
        "    std::erase_if(to, [&](const Segment& one) "
        "{ return one.position >= last->position; });\n"
        "    STOA_CRASH_POINT(\"mailbox.backlog.listed\");\n"
        "    return early;\n",
        "backlog_test", ("stoa/mailbox/backlog_test",),
    ),
    Mutant(
        "drops_for_one_that_has_gone",
        "the oldest is dropped only while its subscriber is there",
        "stoa/ring/pool.cpp",
        "if (!drops->holds()) return PoolStatus::empty;",
        "",
        "backlog_test", ("stoa/mailbox/backlog_test",),
    ),
    Mutant(
        "leaver_keeps_its_backlog",
        "what waits for one that left is given back",
        "stoa/mailbox/rings.cpp",
        "left ? give_up(i, segment, false)",
        "left && i > 64 ? give_up(i, segment, false)",
        "backlog_test", ("stoa/mailbox/backlog_test",),
    ),
    Mutant(
        "cursor_of_leaver_stays",
        "who leaves drops its cursors also in logs that it never looked into",
        "stoa/mailbox/attachment.cpp",
        "    drop_cursors(index_);  // also in logs that it never looked into\n",
        "",
        "crash_run", crash("broadcast_logs.leave"),
    ),
    Mutant(
        "mutex_sleepers_forgotten",
        "who slept takes a mutex with the bit set, for there may be others",
        "stoa/sync/holder_word.cpp",
        """const std::uint64_t mine = (seen & LockWord::kInconsistent) | at.me | entering;
            if (word.compare_exchange_strong(seen, mine | slept""",
        """const std::uint64_t mine = (seen & LockWord::kInconsistent) | at.me | entering;
            if (word.compare_exchange_strong(seen, mine""",
        "mutex_test", ("stoa/sync/mutex_test", "--gtest_filter=*OfTwoThatSleep*"),
    ),
    Mutant(
        "mutex_unmended_not_poisoned",
        "what an heir gives back unmended is poisoned",
        "stoa/sync/holder_word.cpp",
        "mine : mine | LockWord::kInconsistent",
        "mine : mine",
        "mutex_test", ("stoa/sync/mutex_test", "--gtest_filter=*Poison*"),
    ),
    Mutant(
        "permits_of_others_taken",
        "a permit is taken from the dead alone",
        "stoa/sync/semaphore.cpp",
        "if (holder != 0 && !at.is_gone(holder)) continue;",
        "",
        "semaphore_test", ("stoa/sync/semaphore_test",),
    ),
) + ASYNC + BUFFERS + LATEST + LINKS + LOCKS + REGIONS + SETS + WAITS
