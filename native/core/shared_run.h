// kvm_run as it is read by who may not trust it: JavaScript has the page too, and may write it at any moment.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

// Not memcpy, which may read its source again where the copy is used.
template <typename T>
T ReadOnce(const T& shared) {
  return __atomic_load_n(&shared, __ATOMIC_RELAXED);
}

constexpr size_t kUnion = offsetof(kvm_run, io);
constexpr size_t kIsWrite = offsetof(kvm_run, mmio.is_write) - kUnion;

// kvm_run.io, as it lies in a copy of the union.
struct Io {
  uint8_t direction;
  uint8_t size;
  uint16_t port;
  uint32_t count;
  uint64_t data_offset;
};
static_assert(sizeof(Io) == sizeof(kvm_run::io), "the layout of kvm_run.io");
