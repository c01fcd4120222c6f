// What a prebuild has itself of what the static libstdc++ and libgcc of a newer glibc ask that for.
#include <link.h>

#include <cstddef>
#include <cstdint>

// libstdc++ asks it whether atomics can be left out: never.
extern "C" __attribute__((visibility("hidden"))) char __libc_single_threaded;
char __libc_single_threaded = 0;

namespace {

/** glibc's struct dl_find_object. */
struct Found {
  unsigned long long flags;
  void* begin;
  void* end;
  void* object;
  void* frames;
  unsigned long long reserved[7];
};

/** Looks for the object that has the address `begin`, and for its frames. */
int hasAddress(dl_phdr_info* object, size_t, void* out) {
  auto* found = static_cast<Found*>(out);
  const auto address = reinterpret_cast<uintptr_t>(found->begin);
  bool here = false;
  void* frames = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    const uintptr_t begin = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && address >= begin && address < begin + part.p_memsz) here = true;
    if (part.p_type == PT_GNU_EH_FRAME) frames = reinterpret_cast<void*>(begin);
  }
  if (!here || frames == nullptr) return 0;
  found->frames = frames;
  return 1;
}

}  // namespace

// libgcc's unwinder asks it since glibc 2.35; before, it walked the objects itself, as here.
extern "C" int __wrap__dl_find_object(void* address, Found* found);
extern "C" int __wrap__dl_find_object(void* address, Found* found) {
  *found = {};
  found->begin = address;
  return dl_iterate_phdr(hasAddress, found) == 1 ? 0 : -1;
}
