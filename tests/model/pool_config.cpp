#include "tests/model/pool_config.hpp"

#include <array>
#include <charconv>

#include "tests/model/pool_suites.hpp"

namespace stoa::model {
namespace {

struct NumberOption {
    std::string_view name;
    int PoolConfig::* field;
    int min;
    int max;
};

constexpr std::array kNumbers{
    NumberOption{"slots", &PoolConfig::slots, 1, kMaxSlots},
    NumberOption{"chunks", &PoolConfig::chunks, 1, kMaxChunks},
    NumberOption{"senders", &PoolConfig::senders, 1, kMaxSenders},
    NumberOption{"receivers", &PoolConfig::receivers, 1, 4},
    NumberOption{"messages", &PoolConfig::messages, 1, kMaxMessages},
    NumberOption{"quota", &PoolConfig::quota, 1, 3},
    NumberOption{"crashes", &PoolConfig::crashes, 0, 3},
    NumberOption{"freezes", &PoolConfig::freezes, 0, 3},
    NumberOption{"attaches", &PoolConfig::attaches, 0, 3},
    NumberOption{"newcomers", &PoolConfig::newcomers, 1, 2},
    NumberOption{"spare", &PoolConfig::spare, 0, 3},
    NumberOption{"detaches", &PoolConfig::detaches, 0, 3},
    NumberOption{"k", &PoolConfig::k, 0, kNever},
    NumberOption{"max-takes", &PoolConfig::max_takes, 0, 3},
    NumberOption{"receipts", &PoolConfig::receipts, 0, kMaxReceipts},
};

struct SwitchOption {
    std::string_view name;
    bool PoolConfig::* field;
};

constexpr std::array kSwitches{
    SwitchOption{"heirs", &PoolConfig::heirs},
    SwitchOption{"all-sweep", &PoolConfig::all_sweep},
    SwitchOption{"abandon", &PoolConfig::abandon},
    SwitchOption{"ack", &PoolConfig::ack},
    SwitchOption{"nack", &PoolConfig::nack},
    SwitchOption{"hints", &PoolConfig::hints},
    SwitchOption{"drain", &PoolConfig::drain},
    SwitchOption{"withdraw", &PoolConfig::withdraw},
    SwitchOption{"at-take", &PoolConfig::at_take},
    SwitchOption{"alone", &PoolConfig::alone},
};

template <typename Field>
bool parse_number(std::string_view text, Field& field, int min, int max) {
    int value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value < min || value > max) return false;
    field = static_cast<Field>(value);
    return true;
}

}  // namespace

std::string text_of(const PoolConfig& config) {
    const PoolConfig defaults;
    std::string out;
    const auto add = [&out](std::string_view name, std::string_view value) {
        out += (out.empty() ? "--" : " --") + std::string(name) + " " + std::string(value);
    };
    for (const NumberOption& option : kNumbers) {
        if (config.*option.field == defaults.*option.field) continue;
        add(option.name, std::to_string(config.*option.field));
    }
    for (const SwitchOption& option : kSwitches) {
        if (config.*option.field == defaults.*option.field) continue;
        add(option.name, config.*option.field ? "1" : "0");
    }
    if (config.attach_role == Role::sender) add("attach-role", "sender");
    if (config.mutant != Mutant::none) add("mutant", name_of(config.mutant));
    return out;
}

bool set_option(PoolConfig& config, std::string_view name, std::string_view value) {
    for (const NumberOption& option : kNumbers) {
        if (name != option.name) continue;
        return parse_number(value, config.*option.field, option.min, option.max);
    }
    for (const SwitchOption& option : kSwitches) {
        if (name == option.name) return parse_number(value, config.*option.field, 0, 1);
    }
    if (name == "attach-role" && (value == "sender" || value == "receiver")) {
        config.attach_role = value == "sender" ? Role::sender : Role::receiver;
        return true;
    }
    if (name != "mutant") return false;
    const PoolMutant* mutant = find_mutant(value);
    if (mutant != nullptr) config.mutant = mutant->mutant;
    return mutant != nullptr;
}

const char* refusal_of(const PoolConfig& config) {
    if (config.participants() > kMaxParticipants) return "more than 5 participants";
    if (config.all_messages() > kMaxMessages) return "more than 6 messages in all";
    if (config.receipts > 0 && (config.hints || config.drain || config.detaches > 0 ||
                                config.abandon || config.attach_role == Role::sender)) {
        return "receipts together with hints, drain, detaches, abandon, or senders that attach";
    }
    if (config.alone && config.ack && !config.at_take) return "a lease can last: alone needs more";
    return nullptr;
}

}  // namespace stoa::model
