// A mapped range of this process' memory: guest memory, a vCPU's kvm_run, a ring of records.
#pragma once

#include <cstddef>
#include <memory>

// Addresses of this process that nothing else is put at, until the last holder lets go.
class AddressRange {
 public:
  AddressRange(void* data, size_t size) : data_(data), size_(size) {}
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_;
  size_t size_;
};

// What is mapped at such addresses. Guest memory, KVM's slots and running vCPUs each hold it, so no order of closing and
// collecting leaves one of them with a dangling address. JavaScript's buffers hold the addresses alone: when the memory
// goes before them, zeroed pages that belong to nobody take its place.
class MappedRange {
 public:
  // Both are null when mmap refuses; errno says why.
  static std::shared_ptr<MappedRange> Anonymous(size_t size);
  static std::shared_ptr<MappedRange> OfFile(int fd, size_t size);

  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

  void* data() const { return addresses_->data(); }
  size_t size() const { return addresses_->size(); }
  const std::shared_ptr<AddressRange>& addresses() const { return addresses_; }

 private:
  explicit MappedRange(std::shared_ptr<AddressRange> addresses) : addresses_(std::move(addresses)) {}
  static std::shared_ptr<MappedRange> Map(int fd, int flags, size_t size);

  std::shared_ptr<AddressRange> addresses_;
};
