// One word of a mailbox at a time takes a value that does not belong there; then it is opened and
// used. Whatever it is: the process lives, and the calls end.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tests/fuzz/images.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

constexpr std::size_t kMostFindings = 20;
constexpr std::array kHows{std::uint8_t{0}, std::uint8_t{24}};  // both; latest, from the oldest

struct Progress {  // shared with the child
    std::uint64_t at;
    std::uint64_t kind;
    std::uint64_t offset;
    std::uint64_t value;
    std::uint64_t ends;
};

std::array<std::uint64_t, 14> values_for(std::uint64_t word) {
    return {0,          1,
            UINT64_MAX, word + 1,
            word - 1,   word ^ 1,
            word ^ 2,   word << 8,
            word >> 8,  word + 0x1000,
            ~word,      word ^ 1ULL << 32,
            word << 32, word ^ 1ULL << 63};
}

void attempt(std::size_t kind, const fuzz::Image& healthy, std::size_t page, std::uint16_t offset,
             std::uint64_t value, std::uint8_t how) {
    ::alarm(10);  // a call that does not end
    fuzz::Image image = healthy;
    sys::Fd file = fuzz::file_for(image);
    fuzz::write_word(image.pages[page], offset, value);
    if (page == 0) fuzz::mend_checksum(image);
    ASSERT_TRUE(fuzz::write_image(file, image)) << kind;
    fuzz::open_and_use(std::move(file), fuzz::options_of(how));
}

// From attempt `progress.at` on; every `step`-th of them.
void walk(Progress& progress, std::uint64_t step) {
    std::uint64_t n = 0;
    const std::uint64_t from = progress.at;
    for (std::size_t kind = 0; kind < fuzz::images().size(); ++kind) {
        const fuzz::Image& image = fuzz::images()[kind];
        for (std::size_t page = 0; page < image.pages.size(); ++page) {
            for (const std::uint16_t offset : image.pages[page].words) {
                const std::uint64_t word = fuzz::word_at(image.pages[page], offset);
                for (const std::uint64_t value : values_for(word)) {
                    for (const std::uint8_t how : kHows) {
                        const std::uint64_t index = n++;
                        if (index < from || index % step != from % step) continue;
                        progress.at = index;
                        progress.kind = kind;
                        progress.offset = image.pages[page].offset + offset;
                        progress.value = value;
                        attempt(kind, image, page, offset, value, how);
                    }
                }
            }
        }
    }
    progress.ends = n;
}

TEST(EveryWord, WhateverStandsThereTheCallsEndAndTheProcessLives) {
    const char* given = std::getenv("STOA_SCRIBBLES");
    const std::uint64_t budget = given != nullptr ? std::strtoull(given, nullptr, 10) : 12'000;
    std::uint64_t all = 0;
    for (const fuzz::Image& image : fuzz::images()) {
        for (const fuzz::Page& page : image.pages) {
            all += page.words.size() * values_for(0).size() * kHows.size();
        }
    }
    const std::uint64_t step = budget == 0 || budget > all ? 1 : all / budget;
    const kit::TempRegion memory{sizeof(Progress)};
    auto& progress = *reinterpret_cast<Progress*>(memory.bytes().data());
    const auto day = static_cast<std::uint64_t>(
        std::chrono::system_clock::now().time_since_epoch() / std::chrono::days{1});
    progress.at = day % step;
    for (std::size_t found = 0; progress.ends == 0 && found < kMostFindings; ++found) {
        const kit::Ending ending =
            kit::fork_and_run([&] { walk(progress, step); }, std::chrono::minutes{50});
        if (progress.ends != 0) break;
        ADD_FAILURE() << "attempt " << progress.at << ": kind " << progress.kind << ", offset "
                      << progress.offset << ", value " << std::hex << progress.value << std::dec
                      << ": signal " << ending.signal;
        progress.at += step;
    }
    std::cout << "every " << step << "th of " << all << " changes of one word in "
              << fuzz::images().size() << " kinds of mailbox\n";
}

}  // namespace
}  // namespace stoa
