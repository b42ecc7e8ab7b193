#include "stoa/shm/domain.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "stoa/sys/file.hpp"

namespace stoa {
namespace {

constexpr std::size_t kMaxNameBytes = 200;

bool allowed(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

std::string default_path() {
    const char* chosen = std::getenv("STOA_DOMAIN");
    if (chosen != nullptr && *chosen != '\0') return chosen;
    return "/dev/shm/stoa-" + std::to_string(geteuid());
}

}  // namespace

Result<Domain> Domain::of(std::string path, Result<sys::Fd> folder) {
    if (!folder) return std::unexpected(folder.error());
    const Result<sys::FileInfo> info = sys::info(*folder);
    if (!info) return std::unexpected(info.error());
    Domain domain;
    domain.path_ = std::move(path);
    domain.folder_ = std::move(*folder);
    domain.shared_ = sys::is_shared_folder(info->mode);
    return domain;
}

Result<Domain> Domain::find(std::string_view path) {
    std::string chosen = path.empty() ? default_path() : std::string{path};
    Result<sys::Fd> folder = sys::open_folder(chosen.c_str());
    return of(std::move(chosen), std::move(folder));
}

Result<Domain> Domain::create(std::string_view path, std::optional<std::uint32_t> group) {
    std::string chosen{path};
    Result<sys::Fd> folder = group ? sys::create_shared_folder(chosen.c_str(), *group)
                                   : sys::create_private_folder(chosen.c_str());
    if (!folder && folder.error().code == Errc::not_found) {
        return fail(Errc::unsafe_folder, "make the domain folder", folder.error().os_errno);
    }
    return of(std::move(chosen), std::move(folder));
}

Result<Domain> Domain::any(std::string_view path) {
    std::string chosen{path};
    Result<sys::Fd> folder = sys::open_any_folder(chosen.c_str());
    return of(std::move(chosen), std::move(folder));
}

Result<Domain> Domain::open(std::string_view path) {
    Result<Domain> domain = find(path);
    if (domain || domain.error().code != Errc::not_found) return domain;
    const std::string chosen = path.empty() ? default_path() : std::string{path};
    if (const Result<sys::Fd> made = sys::create_folder(chosen.c_str()); !made) {
        // Its parent is missing. Not `not_found`: that is for names in the domain.
        if (made.error().code != Errc::not_found) return std::unexpected(made.error());
        return fail(Errc::unsafe_folder, "make the domain folder", made.error().os_errno);
    }
    return find(path);
}

Result<std::vector<std::string>> Domain::names_of(std::string_view suffix) const {
    Result<std::vector<std::string>> files = sys::list(folder_);
    if (!files) return files;
    std::vector<std::string> names;
    for (std::string& file : *files) {
        if (file.size() <= suffix.size() || !file.ends_with(suffix)) continue;
        file.resize(file.size() - suffix.size());
        if (check_name(file)) names.push_back(std::move(file));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> check_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > kMaxNameBytes || name.front() == '.' || name.front() == '-' ||
        !std::all_of(name.begin(), name.end(), allowed)) {
        return fail(Errc::bad_name, "name");
    }
    return {};
}

}  // namespace stoa
