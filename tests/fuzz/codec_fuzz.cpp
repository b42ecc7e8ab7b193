// Decoding whatever bytes: a value or a clean error, with no memory that the bytes do not justify.
// What was decoded can be encoded, and comes back the same.
//
// Input: byte 0 picks the type, the rest is the message.
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>

#include "stoa/channel/codec_test_types.hpp"
#include "tests/kit/allocations.hpp"

namespace {

using namespace stoa::codec_test;

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
    const std::size_t size = stoa::encoded_size(value);
    if (size >= stoa::kNoSize) std::abort();
    std::vector<std::byte> bytes(size);
    if (stoa::encode(value, bytes) != size) std::abort();
    return bytes;
}

// 512: what an empty std::deque takes. The order of keys and elements that a set or map did not
// have to keep may change once.
template <typename T>
void judge(stoa::Bytes message) {
    stoa::kit::forget_allocations();
    const stoa::Result<T> first = stoa::decode<T>(message);
    if (stoa::kit::largest_allocation() > 32 * message.size() + 512) std::abort();
    if (!first) {
        if (first.error().step == nullptr || std::strlen(first.error().step) == 0) std::abort();
        return;
    }
    const std::vector<std::byte> bytes = bytes_of(*first);
    if (bytes.size() != message.size()) std::abort();
    stoa::Result<T> second = stoa::decode<T>(bytes);
    if (!second || bytes_of(*second) != bytes) std::abort();
    if (!stoa::decode_into(message, *second)) std::abort();  // over a value that is there
    if (bytes_of(*second) != bytes) std::abort();
}

using Judge = void (*)(stoa::Bytes);
constexpr Judge kJudges[] = {
    judge<Everything>,
    judge<std::vector<Everything>>,
    judge<Tree>,
    judge<std::vector<Tree>>,
    judge<Onion>,
    judge<std::vector<std::optional<Money>>>,
    judge<std::map<std::string, std::vector<Track>>>,
    judge<std::list<std::variant<bool, std::string, std::set<Side>, Tree>>>,
    judge<std::deque<std::vector<bool>>>,
    judge<std::vector<std::vector<std::vector<std::uint64_t>>>>,
    judge<std::tuple<std::string, std::array<std::optional<Stamp>, 3>, std::vector<long double>>>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    kJudges[data[0] % std::size(kJudges)]({bytes + 1, size - 1});
    return 0;
}
