// A region with one object, opened and closed again.
#include "bench/kit/attach_loop.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "bench/stoa/stoa_subjects.hpp"
#include "stoa/shm/region.hpp"

namespace stoa::bench {

namespace {

class StoaAttach {
public:
    static constexpr std::uint64_t kValue = 7;

    explicit StoaAttach(const Case& c)
        : address_{"posix:/" + std::string{c.id}},
          region_{need(Region::create(address_, std::size_t{1} << 20U))} {
        *need(region_.construct<std::uint64_t>("value")) = kValue;
    }
    StoaAttach(const StoaAttach&) = delete;
    StoaAttach& operator=(const StoaAttach&) = delete;
    ~StoaAttach() { static_cast<void>(Region::destroy(address_)); }

    std::uint64_t once() {
        const Region mine = need(Region::open(address_));
        return *need(mine.find<std::uint64_t>("value"));
    }

private:
    std::string address_;
    Region region_;
};

}  // namespace

Subject stoa_attach() {
    return attach_subject_of<StoaAttach>("stoa_region", Kind::stoa);
}

}  // namespace stoa::bench
