// SharedPtr: a handle to an object in a region's heap that ends when its last live holder lets go.
//
// Start here: make_shared<T>(heap, ...); token() and SharedPtr<T>::adopt() to pass it on.
// Threads:    as std::shared_ptr: handles are apart, one handle is not for two threads at once.
// Processes:  a handle is of one process; a token goes to another one, which adopts it while the
//             giver still holds it.
// Death:      of a holder is as if it had dropped its handles; of the last one too, found by who
//             drops or adopts, or by sweep_shared(), which knows no destructors.
// Blocking:   never.
// Lifetime:   a handle must end before its Heap does.
// Units:      handles.
// Source:     shared_object.cpp.
#pragma once

#include <memory>
#include <utility>

#include "stoa/shm/shared_object.hpp"

namespace stoa {

template <typename T>
class SharedPtr {
public:
    SharedPtr() noexcept = default;
    // Terminates nothing: a copy that cannot be made (a forked child, too many handles) is empty.
    SharedPtr(const SharedPtr& other) noexcept { take(other); }
    SharedPtr(SharedPtr&& other) noexcept
        : heap_{std::exchange(other.heap_, nullptr)},
          control_{std::exchange(other.control_, nullptr)} {}
    SharedPtr& operator=(SharedPtr other) noexcept {
        std::swap(heap_, other.heap_);
        std::swap(control_, other.control_);
        return *this;
    }
    ~SharedPtr() { reset(); }

    // Errors: gone (nobody held it any more), no_free_place, limit_reached, forked
    [[nodiscard]] static Result<SharedPtr> adopt(Heap& heap, SharedToken token) noexcept {
        const Result<SharedControl*> control = detail::shared_adopt(heap, token, destroy);
        if (!control) return std::unexpected(control.error());
        return SharedPtr{heap, **control};
    }
    // For another process, which adopts it while this handle lives.
    [[nodiscard]] SharedToken token() const noexcept {
        return control_ == nullptr ? SharedToken{} : detail::shared_token(*heap_, *control_);
    }
    void reset() noexcept {
        if (control_ == nullptr) return;
        detail::shared_drop(*heap_, *std::exchange(control_, nullptr), destroy);
    }
    [[nodiscard]] T* get() const noexcept {
        return control_ == nullptr ? nullptr : static_cast<T*>(detail::shared_object(*control_));
    }
    [[nodiscard]] T& operator*() const noexcept { return *get(); }
    [[nodiscard]] T* operator->() const noexcept { return get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return control_ != nullptr; }
    // How many live processes hold it. For display.
    [[nodiscard]] std::uint32_t processes() const noexcept {
        return control_ == nullptr ? 0 : detail::shared_processes(*heap_, *control_);
    }
    [[nodiscard]] friend bool operator==(const SharedPtr& a, const SharedPtr& b) noexcept {
        return a.control_ == b.control_;
    }

private:
    template <typename U, typename... Arguments>
    friend Result<SharedPtr<U>> make_shared(Heap& heap, Arguments&&... arguments);

    SharedPtr(Heap& heap, SharedControl& control) noexcept : heap_{&heap}, control_{&control} {}
    static void destroy(void* object) { std::destroy_at(static_cast<T*>(object)); }
    void take(const SharedPtr& other) noexcept {
        if (other.control_ == nullptr) return;
        const Result<SharedControl*> control =
            detail::shared_adopt(*other.heap_, other.token(), destroy);
        if (!control) return;
        heap_ = other.heap_;
        control_ = *control;
    }

    Heap* heap_ = nullptr;
    SharedControl* control_ = nullptr;
};

// A new object in the heap. A death in its constructor leaves nothing, of what that allocated
// neither. Errors: out_of_space, forked; what the constructor throws goes on
template <typename T, typename... Arguments>
[[nodiscard]] Result<SharedPtr<T>> make_shared(Heap& heap, Arguments&&... arguments) {
    const Result<SharedControl*> control = detail::shared_make(heap);
    if (!control) return std::unexpected(control.error());
    const Result<void*> memory =
        heap.allocate(sizeof(T), std::max(alignof(T), Heap::kMinAlignment));
    if (!memory) {
        detail::shared_abandon(heap, **control);
        return std::unexpected(memory.error());
    }
    try {
        new (*memory) T(std::forward<Arguments>(arguments)...);
    } catch (...) {
        detail::shared_abandon(heap, **control);
        throw;
    }
    detail::shared_made(heap, **control, *memory);
    return SharedPtr<T>{heap, **control};
}

}  // namespace stoa
