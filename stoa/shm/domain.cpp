#include "stoa/shm/domain.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

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

Result<Domain> Domain::find(std::string_view path) {
    Domain domain;
    domain.path_ = path.empty() ? default_path() : std::string{path};
    Result<sys::Fd> folder = sys::open_folder(domain.path_.c_str());
    if (!folder) return std::unexpected(folder.error());
    domain.folder_ = std::move(*folder);
    return domain;
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
