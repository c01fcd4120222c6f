// What the guest gets for a read that nobody answers.
#include "unanswered.h"

#include <cstdint>
#include <cstring>

void DefineUnanswered(kvm_run* run, size_t run_size) {
  switch (run->exit_reason) {
    case KVM_EXIT_IO: {
      // Each once: JavaScript may write to the page meanwhile.
      const bool in = __atomic_load_n(&run->io.direction, __ATOMIC_RELAXED) == KVM_EXIT_IO_IN;
      const size_t size = __atomic_load_n(&run->io.size, __ATOMIC_RELAXED);
      const size_t bytes = size * __atomic_load_n(&run->io.count, __ATOMIC_RELAXED);
      const uint64_t offset = __atomic_load_n(&run->io.data_offset, __ATOMIC_RELAXED);
      if (in && offset <= run_size && bytes <= run_size - offset)
        memset(reinterpret_cast<char*>(run) + offset, 0xff, bytes);
      return;
    }
    case KVM_EXIT_MMIO:
      if (!run->mmio.is_write) memset(run->mmio.data, 0xff, sizeof run->mmio.data);
      return;
  }
}
