// stoa region dump
#include <fmt/format.h>

#include <algorithm>

#include "cli/command/region.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "stoa/shm/plain_region.hpp"

namespace stoa::cli {
namespace {

constexpr std::size_t kPerLine = 16;

// Sixteen bytes: where, in hexadecimal, as characters.
void append_line(std::string& text, std::size_t at, std::span<const std::byte> bytes) {
    text += fmt::format("{:08x} ", at);
    for (std::size_t i = 0; i < kPerLine; ++i) {
        if (i % 8 == 0) text += ' ';
        text +=
            i < bytes.size() ? fmt::format("{:02x} ", std::to_integer<unsigned>(bytes[i])) : "   ";
    }
    text += " |";
    for (const std::byte byte : bytes) {
        const auto c = std::to_integer<unsigned char>(byte);
        text += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
    }
    text += "|\n";
}

// Lines that equal the one before are told once, by a star.
Exit dump(std::span<const std::byte> bytes, bool raw) {
    Output out = Output::standard();
    if (raw) {
        out.append(bytes);
        return out.exit_of(out.flush());
    }
    std::string text;
    bool starred = false;
    for (std::size_t at = 0; at < bytes.size(); at += kPerLine) {
        const auto line = bytes.subspan(at, std::min(kPerLine, bytes.size() - at));
        const bool again = at > 0 && line.size() == kPerLine &&
                           std::ranges::equal(line, bytes.subspan(at - kPerLine, kPerLine));
        if (!again) append_line(text, at, line);
        if (again && !starred) text += "*\n";
        starred = again;
        if (text.size() < std::size_t{64} << 10) continue;
        out.append(text);
        text.clear();
        if (const Written written = out.flush(); written != Written::ok)
            return out.exit_of(written);
    }
    out.append(text + fmt::format("{:08x}\n", bytes.size()));
    return out.exit_of(out.flush());
}

Exit dump_object(const std::string& address, const std::string& object, bool raw) {
    const std::string what = "region dump " + address;
    const Result<Region> region = Region::open(address, {.access = Access::read_only});
    if (!region && object.empty() &&
        (region.error().code == Errc::bad_layout || region.error().code == Errc::not_found)) {
        const Result<PlainRegion> plain = PlainRegion::open(address, Access::read_only);
        return plain ? dump(plain->bytes(), raw) : complain(what, plain.error());
    }
    if (!region) return complain(what, region.error());
    std::vector<std::string> names;
    if (!object.empty()) names.push_back(object);
    for (const ObjectInfo& one : region->objects()) {
        if (object.empty()) names.push_back(one.name);
    }
    for (const std::string& name : names) {
        const Result<std::span<const std::byte>> bytes = region->bytes_of(name);
        if (!bytes) return complain(what + " " + name, bytes.error());
        if (object.empty() && !raw) {
            if (const Exit told = print(shown(name) + ":\n"); told != Exit::done) return told;
        }
        if (const Exit done = dump(*bytes, raw); done != Exit::done) return done;
    }
    return Exit::done;
}

}  // namespace

void add_region_dump(CLI::App& region, Chosen& chosen) {
    const auto address = std::make_shared<std::string>();
    const auto object = std::make_shared<std::string>();
    const auto raw = std::make_shared<bool>(false);
    CLI::App* verb = region.add_subcommand(
        "dump", "Print the bytes of an object, of all objects, or of a plain region");
    add_address(*verb, *address);
    verb->add_option("OBJECT", *object, "Its name [all]")->type_name("");
    verb->add_flag("--raw", *raw, "The bytes themselves, for other programs");
    example(*verb, "stoa region dump stats hits");
    verb->callback([&chosen, address, object, raw] {
        chosen.run = [address, object, raw] { return dump_object(*address, *object, *raw); };
    });
}

}  // namespace stoa::cli
