// Mapping memory, and giving it back.
#include "mapped_range.h"

#include <sys/mman.h>

std::shared_ptr<MappedRange> MappedRange::Map(int fd, int flags, size_t size) {
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (data == MAP_FAILED) return nullptr;
  return std::shared_ptr<MappedRange>(new MappedRange(data, size));
}

std::shared_ptr<MappedRange> MappedRange::Anonymous(size_t size) {
  // Guest memory is reserved, not committed: a 4 GiB machine costs what its guest touches.
  return Map(-1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, size);
}

std::shared_ptr<MappedRange> MappedRange::OfFile(int fd, size_t size) { return Map(fd, MAP_SHARED, size); }

MappedRange::~MappedRange() { munmap(data_, size_); }
