// The texts and fingerprints of many types, a line each. Two compilers must print the same.
#include <cstdio>
#include <deque>
#include <list>
#include <tuple>

#include "stoa/channel/codec_test_types.hpp"

namespace {

using namespace stoa::codec_test;

struct Flat {
    bool a;
    char b;
    wchar_t c;
    long d;
    unsigned long long e;
    double f[2][3];
    std::array<std::array<char, 3>, 2> g;
    YesNo h;
    Point i[2];
    struct {
        float x;
    } inner;
};
template <typename T>
struct Boxed {
    T boxed_value;
    std::vector<Boxed> others;
};
struct _Odd {
    std::string _name1;
    std::optional<long double> x_;
    std::pair<std::tuple<>, std::tuple<wchar_t, unsigned long>> B2;
    signed char value;
};
namespace inside {
struct Order {
    std::vector<std::vector<std::array<std::string, 2>>> Order;
    Side side;
};
}  // namespace inside

template <typename... Ts>
void print() {
    (std::printf("%016llx %s\n",
                 static_cast<unsigned long long>(stoa::type_info_of<Ts>().fingerprint),
                 std::string{stoa::type_info_of<Ts>().text}.c_str()),
     ...);
}

}  // namespace

int main() {
    print<Flat, Point, Stamp, double, std::string, Everything, Track, Tree, Money, Onion>();
    print<Exactly32, Boxed<int>, Boxed<std::string>, _Odd, inside::Order>();
    print<std::vector<Flat>, std::list<std::deque<bool>>, std::optional<Boxed<Tree>>>();
    print<std::chrono::duration<double, std::ratio<1, 50>>, std::unordered_map<long, Money>>();
}
