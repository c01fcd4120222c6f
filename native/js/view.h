// What JavaScript sees of a mapped range.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/mapped_range.h"

// The range that was mapped just now. Throws errno if mmap refused it.
std::shared_ptr<MappedRange> Mapped(Napi::Env env, std::shared_ptr<MappedRange> range);

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
