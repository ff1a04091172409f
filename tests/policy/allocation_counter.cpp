#include "policy/allocation_counter.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

// ThreadSanitizer's runtime has an operator new of its own and takes no other: nothing is counted there.
#if defined(__has_feature)
#define MAESTRO_TEST_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define MAESTRO_TEST_THREAD_SANITIZER 0
#endif

namespace {

std::atomic<std::size_t> calls{0};
std::atomic<std::size_t> bytes{0};
std::atomic<std::size_t> most{0};

[[maybe_unused]] void* counted(void* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  ++calls;
  const std::size_t now = bytes += malloc_usable_size(pointer);
  std::size_t seen = most;
  while (now > seen && !most.compare_exchange_weak(seen, now)) {
  }
  return pointer;
}
[[maybe_unused]] void release(void* pointer) noexcept {
  bytes -= malloc_usable_size(pointer);
  std::free(pointer);
}
[[maybe_unused]] void* take(std::size_t size) { return counted(std::malloc(size > 0 ? size : 1)); }
[[maybe_unused]] void* take(std::size_t size, std::align_val_t alignment) {
  const auto step = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(step, (size + step - 1) / step * step));
}

}  // namespace

namespace allocation {
std::size_t count() { return calls; }
std::size_t held() { return bytes; }
std::size_t peak() { return most; }
void reset_peak() { most = bytes.load(); }
}  // namespace allocation

#if !MAESTRO_TEST_THREAD_SANITIZER
void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return take(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return take(size, alignment); }
void operator delete(void* pointer) noexcept { release(pointer); }
void operator delete[](void* pointer) noexcept { release(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { release(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { release(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { release(pointer); }
void operator delete[](void* pointer, std::align_val_t) noexcept { release(pointer); }
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept { release(pointer); }
void operator delete[](void* pointer, std::size_t, std::align_val_t) noexcept { release(pointer); }
#endif
