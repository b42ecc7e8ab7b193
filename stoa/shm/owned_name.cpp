#include "stoa/shm/owned_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "stoa/base/crash_point.hpp"
#include "stoa/sys/abstract_name.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"
#include "stoa/sys/process.hpp"

// lock     stoa:FOLDER:NAME
// address  stoa:FOLDER:NAME:pid:descriptor:start:pidfs:pidns:timens:inode of the lock's socket
// FOLDER and NAME are hashes of 64 bits, all else are numbers; everything is hexadecimal. Two names
// may have one hash: the memory itself holds the whole name.
namespace stoa {
namespace {

constexpr int kLooks = 100;  // at names that come and go while we look

std::uint64_t hash_of(std::string_view text) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bit
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
    return hash;
}

std::string hex(std::uint64_t value, std::size_t digits = 1) {
    std::array<char, 16> text;
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value, 16).ptr;
    const auto length = static_cast<std::size_t>(end - text.data());
    return std::string(digits > length ? digits - length : 0, '0').append(text.data(), length);
}

Result<std::string> prefix_of(const Domain& domain) {
    const Result<sys::FileInfo> folder = sys::info(domain.folder());
    if (!folder) return std::unexpected(folder.error());
    return "stoa:" + hex(hash_of(hex(folder->device) + ":" + hex(folder->inode)), 16) + ":";
}

Result<std::string> lock_of(const Domain& domain, std::string_view file_name) {
    Result<std::string> prefix = prefix_of(domain);
    if (prefix) *prefix += hex(hash_of(file_name), 16);
    return prefix;
}

struct Address {
    sys::Identity owner;
    int number = -1;
    std::uint64_t lock_inode = 0;
};

std::string text_of(const std::string& lock, const Address& address) {
    std::string text = lock;
    for (const std::uint64_t part :
         {std::uint64_t{address.owner.pid}, static_cast<std::uint64_t>(address.number),
          address.owner.start_ticks, address.owner.pidfs_id, address.owner.pid_namespace,
          std::uint64_t{address.owner.time_namespace}, address.lock_inode}) {
        text += ":" + hex(part);
    }
    return text;
}

// What follows the lock's name. nullopt: it is not ours.
std::optional<Address> parse(std::string_view text, std::uint64_t boot_id) noexcept {
    std::array<std::uint64_t, 7> parts{};
    for (std::uint64_t& part : parts) {
        if (text.empty() || text.front() != ':') return std::nullopt;
        text.remove_prefix(1);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part, 16);
        if (error != std::errc{}) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    }
    constexpr std::uint64_t kMaxInt = 0x7fff'ffff;
    if (!text.empty() || parts[0] > kMaxInt || parts[1] > kMaxInt || parts[5] > 0xffff'ffffU) {
        return std::nullopt;
    }
    return Address{.owner = {.pid = static_cast<std::uint32_t>(parts[0]),
                             .time_namespace = static_cast<std::uint32_t>(parts[5]),
                             .start_ticks = parts[2],
                             .pidfs_id = parts[3],
                             .pid_namespace = parts[4],
                             .boot_id = boot_id},
                   .number = static_cast<int>(parts[1]),
                   .lock_inode = parts[6]};
}

// The address that goes with a lock, out of all that is held.
std::optional<Address> address_of(const sys::HeldName& lock, const std::vector<sys::HeldName>& held,
                                  std::uint64_t boot_id) {
    for (const sys::HeldName& other : held) {
        if (other.name.size() <= lock.name.size() || !other.name.starts_with(lock.name)) continue;
        const std::optional<Address> address =
            parse(std::string_view{other.name}.substr(lock.name.size()), boot_id);
        if (address && address->lock_inode == lock.inode) return address;
    }
    return std::nullopt;
}

}  // namespace

Result<OwnedName> OwnedName::claim(const Domain& domain, std::string_view file_name,
                                   const sys::Fd& memory) {
    const Result<std::string> lock_name = lock_of(domain, file_name);
    if (!lock_name) return std::unexpected(lock_name.error());
    const Result<sys::Identity> own = sys::self();
    if (!own) return std::unexpected(own.error());
    OwnedName name;  // outlives the lock below, which its destructor takes
    const sys::NoFork held;
    for (sys::ForkFd* socket : {&name.address_, &name.lock_}) {
        Result<sys::Fd> made = sys::make_name_socket();
        if (!made) return std::unexpected(made.error());
        *socket = sys::ForkFd{std::move(*made)};
        socket->close_on_fork(held);
    }
    const Result<sys::FileInfo> lock = sys::info(name.lock_.fd());
    if (!lock) return std::unexpected(lock.error());
    const std::string address =
        text_of(*lock_name, {.owner = *own, .number = memory.get(), .lock_inode = lock->inode});
    if (address.size() > sys::kMaxAbstractName) {
        return fail(Errc::not_supported, "create (the identity does not fit into an address)");
    }
    Result<void> done = sys::hold_name(name.address_.fd(), address);
    STOA_CRASH_POINT("owned_name.claim.before_lock");
    if (done) done = sys::hold_name(name.lock_.fd(), *lock_name);
    if (!done) return std::unexpected(done.error());
    return name;
}

Result<bool> owned_name_taken(const Domain& domain, std::string_view file_name) {
    if (domain.shared()) return false;
    const Result<std::string> lock = lock_of(domain, file_name);
    if (!lock) return std::unexpected(lock.error());
    return sys::is_held(*lock);
}

Result<sys::Fd> find_owned(const Domain& domain, std::string_view file_name, sys::Access access) {
    if (domain.shared()) return fail(Errc::not_found, "open");
    const Result<std::string> lock = lock_of(domain, file_name);
    if (!lock) return std::unexpected(lock.error());
    for (int look = 0; look < kLooks; ++look) {
        const Result<bool> taken = sys::is_held(*lock);
        if (!taken) return std::unexpected(taken.error());
        if (!*taken) return fail(Errc::not_found, "open");
        const Result<sys::Identity> own = sys::self();
        if (!own) return std::unexpected(own.error());
        const Result<std::vector<sys::HeldName>> held = sys::held_names(*lock);
        if (!held) return std::unexpected(held.error());
        const auto at = std::ranges::find(*held, *lock, &sys::HeldName::name);
        if (at == held->end()) continue;
        if (const auto address = address_of(*at, *held, own->boot_id)) {
            return sys::open_memory_of(address->owner, address->number, access);
        }
    }
    return fail(Errc::not_found, "open");
}

Result<std::vector<sys::Fd>> list_owned(const Domain& domain) {
    if (domain.shared()) return std::vector<sys::Fd>{};
    const Result<std::string> prefix = prefix_of(domain);
    if (!prefix) return std::unexpected(prefix.error());
    const Result<sys::Identity> own = sys::self();
    if (!own) return std::unexpected(own.error());
    const Result<std::vector<sys::HeldName>> held = sys::held_names(*prefix);
    if (!held) return std::unexpected(held.error());
    std::vector<sys::Fd> all;
    for (const sys::HeldName& lock : *held) {
        if (lock.name.find(':', prefix->size()) != std::string::npos) continue;  // an address
        const auto address = address_of(lock, *held, own->boot_id);
        if (!address) continue;
        Result<sys::Fd> memory =
            sys::open_memory_of(address->owner, address->number, sys::Access::read_only);
        if (memory) {
            all.push_back(std::move(*memory));
        } else if (memory.error().code == Errc::limit_reached) {
            return std::unexpected(memory.error());
        }
    }
    return all;
}

}  // namespace stoa
