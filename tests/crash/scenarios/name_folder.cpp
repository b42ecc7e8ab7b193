#include "tests/crash/scenarios/name_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/ring/pool.hpp"
#include "stoa/sys/file.hpp"
#include "tests/crash/scenarios/look.hpp"

namespace stoa::crash {
namespace {

constexpr std::uint32_t kPlaces = 32;  // of the table, those that are used here

std::string path_of(const kit::TempDomain& folder, const std::string& file) {
    return folder.path() + "/" + file;
}

Result<sys::Fd> open_file(const std::string& domain, const std::string& name,
                          sys::Access access = sys::Access::read_only) {
    const Result<Domain> folder = Domain::open(domain);
    if (!folder) return std::unexpected(folder.error());
    return sys::open_existing(folder->folder(), mailbox_file(name).c_str(), access);
}

std::string text_of(const std::string& what, const Error& error) {
    return what + ": " + describe(error);
}

}  // namespace

std::uint64_t inode_of(const RegionImage& region) {
    return sys::info(region.file()).value().inode;
}

std::set<std::uint64_t> KeptMailbox::waiting() const {
    return waiting_in_pool(plan.pool_of(region.content(), 0), plan.pool).numbers;
}

bool KeptMailbox::untouched() const {
    return std::ranges::equal(prepared_head, head) &&
           std::ranges::equal(prepared_content, region.content());
}

void NameFolder::keep() {
    for (const std::string& file : domain_.entries()) {
        STOA_CHECK(file.ends_with(kMailboxSuffix));
        const std::string name = file.substr(0, file.size() - kMailboxSuffix.size());
        const auto read_write = sys::Access::read_write;
        RegionImage region =
            RegionImage::attach(open_file(path(), name, read_write).value(), RegionKind::mailbox)
                .value();
        MailboxPlan plan = MailboxPlan::read(region.content()).value();
        STOA_CHECK(plan.pool_count == 1);
        const std::size_t bytes = kPage + Participants::bytes_for(kPlaces);
        void* const at =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region.file().get(), 0);
        STOA_CHECK(at != MAP_FAILED);
        const std::span<std::byte> head{static_cast<std::byte*>(at), bytes};
        const std::span<std::byte> content = region.content();
        const std::uint64_t inode = crash::inode_of(region);
        kept_.push_back(std::make_unique<KeptMailbox>(
            KeptMailbox{.name = name,
                        .inode = inode,
                        .region = std::move(region),
                        .plan = std::move(plan),
                        .head = head,
                        .prepared_head = {head.begin(), head.end()},
                        .prepared_content = {content.begin(), content.end()}}));
        STOA_CHECK(::link(path_of(domain_, file).c_str(), path_of(links_, file).c_str()) == 0);
    }
}

void NameFolder::reset() const {
    domain_.clear();
    for (const std::string& file : links_.entries()) {
        STOA_CHECK(::link(path_of(links_, file).c_str(), path_of(domain_, file).c_str()) == 0);
    }
}

std::vector<std::span<std::byte>> NameFolder::shared() const {
    std::vector<std::span<std::byte>> areas;
    for (const auto& each : kept_) {
        areas.push_back(each->head);
        areas.push_back(each->region.content());
    }
    return areas;
}

const KeptMailbox* NameFolder::kept(const std::string& name) const {
    for (const auto& each : kept_) {
        if (each->name == name) return each.get();
    }
    return nullptr;
}

std::uint64_t NameFolder::inode_of(const std::string& name) const {
    const Result<sys::Fd> file = open_file(path(), name);
    return file ? sys::info(*file).value().inode : 0;
}

bool NameFolder::busy(const std::string& name) const {
    const Result<sys::Fd> file = open_file(path(), name);
    if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) == 0) return false;
    STOA_CHECK(errno == EWOULDBLOCK);
    return true;
}

std::string NameFolder::absent_or_complete(const std::string& name) const {
    Result<sys::Fd> file = open_file(path(), name);
    if (!file) {
        const bool absent = file.error().code == Errc::not_found;
        return absent ? "" : text_of("the name cannot be opened", file.error());
    }
    const Result<RegionImage> region =
        RegionImage::attach(std::move(*file), RegionKind::mailbox, sys::Access::read_only);
    if (!region) return text_of("the name leads to a damaged region", region.error());
    const Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return text_of("the name leads to a damaged mailbox", plan.error());
    const Result<PoolRing> ring = PoolRing::attach(plan->pool_of(region->content(), 0));
    return ring ? "" : text_of("the name leads to a damaged ring", ring.error());
}

std::string NameFolder::holds_only(const std::set<std::string>& names) const {
    std::set<std::string> wanted;
    for (const std::string& name : names) wanted.insert(mailbox_file(name));
    for (const std::string& file : domain_.entries()) {
        if (wanted.erase(file) == 0) return file + " was left in the folder";
    }
    return wanted.empty() ? "" : *wanted.begin() + " is missing in the folder";
}

}  // namespace stoa::crash
