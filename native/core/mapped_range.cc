// Mapping memory, and giving it back.
#include "mapped_range.h"

#include <sys/mman.h>

#include <utility>

namespace {

// Guest memory is reserved, not committed: a 4 GiB machine costs what its guest touches.
constexpr int kUntouched = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

}  // namespace

AddressRange::~AddressRange() { munmap(data_, size_); }

std::shared_ptr<MappedRange> MappedRange::Map(int fd, int flags, size_t size) {
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (data == MAP_FAILED) return nullptr;
  return std::shared_ptr<MappedRange>(new MappedRange(std::make_shared<AddressRange>(data, size)));
}

std::shared_ptr<MappedRange> MappedRange::Anonymous(size_t size) { return Map(-1, kUntouched, size); }

std::shared_ptr<MappedRange> MappedRange::OfFile(int fd, size_t size) { return Map(fd, MAP_SHARED, size); }

MappedRange::~MappedRange() {
  // The last holder of the addresses takes the memory with it. Nobody else can become one: all others got theirs here.
  if (addresses_.use_count() == 1) return;
  // At once, so that what is mapped here goes now: a vCPU's kvm_run keeps its whole VM in the kernel. If it is refused,
  // that lives on until the addresses are given back.
  mmap(data(), size(), PROT_READ | PROT_WRITE, kUntouched | MAP_FIXED, -1, 0);
}
