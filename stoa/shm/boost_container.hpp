// Boost.Container's containers as objects of a region: what they are, as text.
//
// Start here: include it beside the container, then region.construct<Vector>(name, Allocator{...}).
// Threads:    safe; all of it happens when types are told.
// Processes:  two programs agree on a container when they were compiled with the same version of
//             Boost: its number is part of the text, and so of the fingerprint.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   not applicable.
// Units:      not applicable.
// Source:     Boost.Container, which is not part of this library: only programs that have it use
//             this header. Its layouts are its own and may change with each version.
#pragma once

#include <boost/container/container_fwd.hpp>
#include <boost/version.hpp>
#include <functional>
#include <string>

#include "stoa/base/fingerprint.hpp"
#include "stoa/shm/allocator.hpp"

namespace stoa {

namespace detail {

template <typename... Held>
void append_container(std::string& text, const char* what) {
    text += "boost " BOOST_LIB_VERSION " ";
    text += what;
    ((text += ' ', append_type<Held>(text)), ...);
}

}  // namespace detail

template <Shareable T, typename Options>
struct Layout<boost::container::vector<T, Allocator<T>, Options>> {
    static void append(std::string& text) { detail::append_container<T>(text, "vector"); }
};
template <Shareable T, typename Options>
struct Layout<boost::container::deque<T, Allocator<T>, Options>> {
    static void append(std::string& text) { detail::append_container<T>(text, "deque"); }
};
template <Shareable T>
struct Layout<boost::container::list<T, Allocator<T>>> {
    static void append(std::string& text) { detail::append_container<T>(text, "list"); }
};
template <Shareable T>
struct Layout<boost::container::slist<T, Allocator<T>>> {
    static void append(std::string& text) { detail::append_container<T>(text, "slist"); }
};
template <Shareable Char, typename Traits>
struct Layout<boost::container::basic_string<Char, Traits, Allocator<Char>>> {
    static void append(std::string& text) { detail::append_container<Char>(text, "string"); }
};

// Ordered ones: by std::less, so that programs agree on the order too.
template <Shareable K, Shareable V, typename Less, typename Options>
    requires std::is_same_v<Less, std::less<K>> || std::is_same_v<Less, std::less<>>
struct Layout<boost::container::map<K, V, Less, Allocator<std::pair<const K, V>>, Options>> {
    static void append(std::string& text) { detail::append_container<K, V>(text, "map"); }
};
template <Shareable K, typename Less, typename Options>
    requires std::is_same_v<Less, std::less<K>> || std::is_same_v<Less, std::less<>>
struct Layout<boost::container::set<K, Less, Allocator<K>, Options>> {
    static void append(std::string& text) { detail::append_container<K>(text, "set"); }
};
template <Shareable K, Shareable V, typename Less>
    requires std::is_same_v<Less, std::less<K>> || std::is_same_v<Less, std::less<>>
struct Layout<boost::container::flat_map<K, V, Less, Allocator<std::pair<K, V>>>> {
    static void append(std::string& text) { detail::append_container<K, V>(text, "flat_map"); }
};
template <Shareable K, typename Less>
    requires std::is_same_v<Less, std::less<K>> || std::is_same_v<Less, std::less<>>
struct Layout<boost::container::flat_set<K, Less, Allocator<K>>> {
    static void append(std::string& text) { detail::append_container<K>(text, "flat_set"); }
};

}  // namespace stoa
