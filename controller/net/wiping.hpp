#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <memory>
#include <vector>

// Memory that is wiped when it is given back: for the buffers in which a secret passes through a library.
namespace postern::net {

template<class T>
struct wiping_allocator {
    using value_type = T;

    wiping_allocator() = default;
    template<class U>
    wiping_allocator(const wiping_allocator<U>&) noexcept {} // NOLINT: allocators convert

    T* allocate(std::size_t n) { return std::allocator<T>{}.allocate(n); }
    void deallocate(T* p, std::size_t n) noexcept {
        OPENSSL_cleanse(p, n * sizeof(T));
        std::allocator<T>{}.deallocate(p, n);
    }
    friend bool operator==(const wiping_allocator&, const wiping_allocator&) { return true; }
};

using wiping_buffer = std::vector<char, wiping_allocator<char>>;

} // namespace postern::net
