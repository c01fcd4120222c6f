// A mapped range of this process' memory: guest memory, a vCPU's kvm_run, a ring of records.
#pragma once

#include <cstddef>
#include <memory>

// Unmapped when the last holder lets go. JavaScript views, KVM memory slots and running vCPUs each hold it, so no order of
// closing and collecting leaves one of them with a dangling address.
class MappedRange {
 public:
  // Both are null when mmap refuses; errno says why.
  static std::shared_ptr<MappedRange> Anonymous(size_t size);
  static std::shared_ptr<MappedRange> OfFile(int fd, size_t size);

  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MappedRange(void* data, size_t size) : data_(data), size_(size) {}
  static std::shared_ptr<MappedRange> Map(int fd, int flags, size_t size);

  void* data_;
  size_t size_;
};
