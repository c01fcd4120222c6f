#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>

// A mapped range of this process' memory, unmapped when the last holder lets go. JavaScript views, KVM memory slots
// and running vCPUs each hold it, so no order of closing and collecting leaves one of them with a dangling address.
class MappedRange {
 public:
  // Both throw Napi::Error with `errno` when mmap fails.
  static std::shared_ptr<MappedRange> Anonymous(Napi::Env env, size_t size);
  static std::shared_ptr<MappedRange> OfFile(Napi::Env env, int fd, size_t size);

  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MappedRange(void* data, size_t size) : data_(data), size_(size) {}
  static std::shared_ptr<MappedRange> Map(Napi::Env env, int fd, int flags, size_t size);

  void* data_;
  size_t size_;
};

// An ArrayBuffer over the range that keeps it mapped for as long as any view lives.
Napi::ArrayBuffer ViewOf(Napi::Env env, const std::shared_ptr<MappedRange>& range);

// The same, which can be closed before the garbage collector comes. A mapped kvm_run keeps its whole VM in the kernel, and
// the engine tells that a buffer is gone only when the event loop has a turn: a program that opens and closes VMs without
// giving it one would fill the memory with them.
class MappedView {
 public:
  void Open(Napi::Env env, const std::shared_ptr<MappedRange>& range);
  Napi::Value buffer() const { return buffer_.Value(); }
  // A view that outlives its memory would be a dangling pointer: detached, it has length 0.
  void Close();

 private:
  std::shared_ptr<std::shared_ptr<MappedRange>> held_;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

// Guest memory as JavaScript holds it: `new Mapping(bytes)`, `buffer`, `close()`.
class Mapping : public Napi::ObjectWrap<Mapping> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit Mapping(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  const std::shared_ptr<MappedRange>& range(Napi::Env env) const;

 private:
  Napi::Value Buffer(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<MappedRange> range_;
  MappedView view_;
};
